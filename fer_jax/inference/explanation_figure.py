"""Draws why faces got their labels: Grad-CAM, the cost of covering each part, and the probabilities."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fer_jax.expressions import COLOURS, EXPRESSIONS
from fer_jax.faces.crop import crop_face, grey_crop
from fer_jax.faces.detect import Detection
from fer_jax.inference.explanation import occlusion_map

if TYPE_CHECKING:
    from fer_jax.inference.predictor import Predictor

_SIDE = 192  # displayed size of a face in pixels


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ExplainedFace:
    """One face, its expression, and the areas that support the explained one.

    Attributes:
        image: uint8 [192, 192, 3] RGB or [192, 192] grey, the displayed face.
        expression: the most probable one.
        asked: the expression that the maps explain.
        uncertain: as in `Prediction`.
        probabilities: float32 [7].
        grad_cam: float32 [48, 48], 0 to 1.
        covered: float32 [48, 48], the loss of probability when each part is covered.
    """

    image: np.ndarray
    expression: str
    asked: str
    uncertain: bool
    probabilities: np.ndarray
    grad_cam: np.ndarray
    covered: np.ndarray


def explained_faces(
    predictor: Predictor,
    image: np.ndarray,
    found: Sequence[Detection],
    *,
    expression: str | None,
) -> list[ExplainedFace]:
    """Explains faces of a photograph.

    Args:
        predictor: to ask.
        image: uint8 [H, W, 3] RGB.
        found: one face or more.
        expression: to explain; None for each face's own.
    """
    crops = np.stack([grey_crop(image, face) for face in found])
    prediction = predictor(crops)
    explanation = predictor.explain(crops, expression=expression)
    return [
        ExplainedFace(
            image=cv2.resize(crop_face(image, face, size=_SIDE), (_SIDE, _SIDE)),
            expression=prediction.expressions[k],
            asked=asked,
            uncertain=bool(prediction.uncertain[k]),
            probabilities=prediction.probabilities[k],
            grad_cam=explanation.maps[k],
            covered=occlusion_map(
                lambda faces: predictor(faces).probabilities,
                crops[k],
                label=EXPRESSIONS.index(asked),
            ),
        )
        for k, (face, asked) in enumerate(zip(found, explanation.expressions, strict=True))
    ]


def figure_of(faces: Sequence[ExplainedFace]) -> Figure:
    """Returns a figure with a row for each face."""
    figure = Figure(figsize=(9.6, 2.5 * len(faces) + 0.3), layout="constrained")
    rows = figure.subplots(len(faces), 4, squeeze=False)
    for k, (axes, face) in enumerate(zip(rows, faces, strict=True)):
        _draw_face(axes, face, number=k + 1)
        _draw_bars(axes[3], face.probabilities, face.asked)
    return figure


def _draw_face(axes: Sequence[Axes], face: ExplainedFace, *, number: int) -> None:
    most = float(face.covered.max())
    overlays = (
        (f"#{number}", None),
        (f"supports {face.asked}", face.grad_cam),
        (f"loss when covered, up to {most:.0%}", np.maximum(face.covered, 0) / max(most, 1e-6)),
    )
    for place, (title, values) in zip(axes[:3], overlays, strict=True):
        place.imshow(face.image if values is None else overlay(face.image, values), cmap="gray")
        place.set_title(title, fontsize=10)
        place.set_axis_off()


def overlay(face: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Returns a grey face with a map over it as warm colours, uint8 [H, W, 3].

    Args:
        face: uint8 [H, W] or [H, W, 3].
        values: float [h, w] from 0, which leaves the face unchanged, to 1.
    """
    height, width = face.shape[:2]
    grey = face.mean(axis=2) if face.ndim == 3 else face
    large = np.clip(cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR), 0, 1)
    heat = 255 * matplotlib.colormaps["inferno"](large)[..., :3]
    share = 0.75 * large[..., None]
    return np.rint((1 - share) * grey[..., None] + share * heat).astype(np.uint8)


def _draw_bars(axes: Axes, probabilities: np.ndarray, asked: str) -> None:
    places = range(len(EXPRESSIONS))
    axes.barh(places, probabilities, color=[COLOURS[name] for name in EXPRESSIONS], height=0.7)
    axes.set_yticks(places, EXPRESSIONS, fontsize=9)
    axes.get_yticklabels()[EXPRESSIONS.index(asked)].set_fontweight("bold")
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.5, 1], ["0", "50 %", "100 %"], fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
