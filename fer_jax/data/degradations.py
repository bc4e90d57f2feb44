"""Degrades faces like bad light, bad lenses and small images do, on grey uint8 images [H, H].

Training augments with `random_degradation`. Evaluation applies the fixed kinds of `DEGRADATIONS` to a
validation split to measure the loss of accuracy with bad cameras.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import cv2
import numpy as np

Degradation = Callable[[np.ndarray, np.random.Generator], np.ndarray]

_LEVELS = np.arange(256, dtype=np.float32)
LIKELY = 0.3  # of each kind, for a degraded face


def exposed(face: np.ndarray, factor: float) -> np.ndarray:
    """Returns the face with its light multiplied; values beyond white clip."""
    return _by_table(face, _LEVELS * factor)


def contrasted(face: np.ndarray, factor: float) -> np.ndarray:
    """Returns the face with its contrast about mid grey multiplied; values outside the range clip."""
    return _by_table(face, 127.5 + (_LEVELS - 127.5) * factor)


def blurred(face: np.ndarray, sigma: float) -> np.ndarray:
    """Returns the face blurred by a Gaussian; `sigma` in pixels."""
    return cv2.GaussianBlur(face, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)


def shrunk(face: np.ndarray, side: int) -> np.ndarray:
    """Returns the face reduced to `side` x `side` pixels and enlarged again."""
    small = cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, face.shape[::-1], interpolation=cv2.INTER_CUBIC)


def noisy(face: np.ndarray, generator: np.random.Generator, sigma: float) -> np.ndarray:
    """Returns the face with normal noise added to each pixel; `sigma` in grey levels."""
    noise = generator.standard_normal(face.shape, dtype=np.float32) * sigma
    return np.clip(np.rint(face + noise), 0, 255).astype(np.uint8)


def compressed(face: np.ndarray, quality: int) -> np.ndarray:
    """Returns the face after JPEG of this quality, 1 to 100."""
    _, encoded = cv2.imencode(".jpg", face, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE), np.uint8)


def shadowed(face: np.ndarray, angle: float, light: float) -> np.ndarray:
    """Returns the face with one half in shadow.

    Args:
        face: uint8 [H, H].
        angle: where the light comes from, radians; 0 leaves the right half lit.
        light: share of the light that the dark half keeps.
    """
    side = len(face)
    at = (np.arange(side, dtype=np.float32) + 0.5) / side - 0.5
    across = at[None, :] * np.cos(angle) + at[:, None] * np.sin(angle)
    share = np.clip(0.5 + across / 0.2, 0, 1)  # the edge of the shadow is a fifth of the face wide
    return np.rint(face * (light + (1 - light) * share)).astype(np.uint8)


def rotated(face: np.ndarray, degrees: float) -> np.ndarray:
    """Returns the face rotated about its centre, anticlockwise."""
    side = len(face)
    centre = ((side - 1) / 2, (side - 1) / 2)
    matrix = cv2.getRotationMatrix2D(centre, degrees, 1.0)
    return cv2.warpAffine(face, matrix, (side, side), borderMode=cv2.BORDER_REFLECT_101)


def _by_table(face: np.ndarray, levels: np.ndarray) -> np.ndarray:
    return cv2.LUT(face, np.clip(np.rint(levels), 0, 255).astype(np.uint8))


# The kinds of the degraded evaluation split, by their names in reports.
DEGRADATIONS: Mapping[str, Degradation] = {
    "dark": lambda face, generator: noisy(exposed(face, 0.25), generator, 3.0),
    "bright": lambda face, generator: exposed(face, 1.6),
    "blurred": lambda face, generator: blurred(face, 1.5),
    "small": lambda face, generator: shrunk(face, 20),
    "noisy": lambda face, generator: noisy(face, generator, 15.0),
    "shadowed": lambda face, generator: shadowed(face, generator.choice([0.0, np.pi]), 0.3),
    "turned": lambda face, generator: rotated(face, generator.choice([-15.0, 15.0])),
}


def _random_exposure(face: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    return exposed(face, float(2 ** generator.uniform(-1, 1)))


def _random_contrast(face: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    return contrasted(face, float(2 ** generator.uniform(-1, 0.7)))


def _random_shadow(face: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    return shadowed(face, generator.uniform(0, 2 * np.pi), generator.uniform(0.2, 0.7))


def _random_blur(face: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    return blurred(face, generator.uniform(0.4, 1.8))


def _random_shrink(face: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    return shrunk(face, int(generator.integers(16, 40)))


def _random_noise(face: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    return noisy(face, generator, generator.uniform(2, 14))


def _random_jpeg(face: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    return compressed(face, int(generator.integers(15, 80)))


# In physical order, from the light to the file.
_RANDOM_KINDS: Sequence[Degradation] = (
    _random_shadow,
    _random_exposure,
    _random_contrast,
    _random_blur,
    _random_shrink,
    _random_noise,
    _random_jpeg,
)


def random_degradation(face: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Returns the face, uint8 [H, H], after some of the kinds, each with a random amount."""
    chosen = generator.random(len(_RANDOM_KINDS)) < LIKELY
    for kind, takes_part in zip(_RANDOM_KINDS, chosen, strict=True):
        if takes_part:
            face = kind(face, generator)
    return face
