"""Explanations by a `Predictor`: maps over the face, and a method to verify them.

Grad-CAM uses the network's gradient; occlusion runs the network with one patch after the other covered.
Where both agree, the explanation is reliable.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from fer_jax.faces.preprocess import FACE_SIZE

PATCH, STRIDE = 12, 4  # pixels of the face


@dataclasses.dataclass(frozen=True, eq=False)
class Explanation:
    """Which parts of N faces support an expression.

    Attributes:
        maps: 0 to 1; 1 marks the strongest support, all 0 if there is none.
        expressions: the explained expression of each face.
    """

    maps: Float32[np.ndarray, "faces 48 48"]
    expressions: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.maps)


def explained(
    maps: Float32[np.ndarray, "faces height width"], expressions: tuple[str, ...]
) -> Explanation:
    """Returns maps of any resolution, enlarged to the face and scaled to a maximum of 1."""
    size = (FACE_SIZE, FACE_SIZE)
    large = np.zeros((len(maps), *size), np.float32)
    for k, values in enumerate(maps):
        large[k] = np.maximum(cv2.resize(values, size, interpolation=cv2.INTER_CUBIC), 0)
    most = large.max(axis=(1, 2), keepdims=True)
    return Explanation(large / np.where(most > 0, most, 1), expressions)


def occlusion_map(
    probabilities: Callable[[np.ndarray], np.ndarray],
    face: UInt8[np.ndarray, "48 48"],
    *,
    label: int,
) -> Float32[np.ndarray, "48 48"]:
    """Returns how much of a class's probability is lost when a part of the face is covered.

    Args:
        probabilities: uint8 [N, 48, 48] -> float [N, 7].
        face: grey levels.
        label: index of the class.

    Returns:
        The mean loss over all patches that cover a pixel; negative where covering
        it makes the class more probable.
    """
    corners = [
        (top, left)
        for top in range(0, FACE_SIZE - PATCH + 1, STRIDE)
        for left in range(0, FACE_SIZE - PATCH + 1, STRIDE)
    ]
    covered = np.repeat(face[None], len(corners) + 1, axis=0)
    grey = round(float(face.mean()))  # standardisation maps it to zero
    for k, (top, left) in enumerate(corners):
        covered[k, top : top + PATCH, left : left + PATCH] = grey
    found = probabilities(covered)[:, label]
    loss, times = np.zeros((2, FACE_SIZE, FACE_SIZE), np.float32)
    for k, (top, left) in enumerate(corners):
        part = slice(top, top + PATCH), slice(left, left + PATCH)
        loss[part] += found[-1] - found[k]
        times[part] += 1
    return loss / times
