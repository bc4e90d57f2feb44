"""Draws expressions into an image: a box, a label with its confidence and a small bar chart per face.

Sizes scale with the face and the image, from a 320-pixel stream to a 4K photograph. Dark plates behind
text and dark edges on coloured lines keep both readable on any background.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from fer_jax.expressions import COLOURS, EXPRESSIONS
from fer_jax.faces.quality import Quality
from fer_jax.faces.text import put_text, text_mask

_PLATE = (20, 23, 27)
_PLATE_OPACITY = 0.78
_UNREAD = (150, 154, 160)
_RGB = [tuple(bytes.fromhex(COLOURS[name].removeprefix("#"))) for name in EXPRESSIONS]

# Text height in pixels: a share of the face's height, within limits set by the image's shorter side.
_OF_FACE = 0.13
_LEAST, _LEAST_OF_IMAGE, _MOST_OF_IMAGE = 11, 0.0125, 0.032

# In text heights.
_LINE = 1.3  # from one bar to the next
_NAMES, _BARS, _PAD = 4.6, 4.4, 0.5


@dataclasses.dataclass(frozen=True)
class FaceLabel:
    """What is drawn for one face.

    Attributes:
        box: x, y, width, height in pixels; it may extend beyond the image.
        probabilities: [7] in the order of `EXPRESSIONS`.
        uncertain: marks the label with a question mark.
        name: shown before the expression, such as "#3" for a track.
        expression: the label; empty for the most probable expression.
        quality: of `fer_jax.faces.quality`; a face that is not "ok" has that in place of an expression.
    """

    box: tuple[float, float, float, float]
    probabilities: Sequence[float] | np.ndarray
    uncertain: bool = False
    name: str = ""
    expression: str = ""
    quality: Quality = "ok"

    @property
    def readable(self) -> bool:
        """Whether the face shows enough to be named."""
        return self.quality == "ok"

    @property
    def colour(self) -> tuple[int, ...]:
        """RGB of its box: the expression's, or grey for a face that cannot be read."""
        return _RGB[self.index] if self.readable else _UNREAD

    @property
    def index(self) -> int:
        """The label's index into `EXPRESSIONS`."""
        if self.expression:
            return EXPRESSIONS.index(self.expression)
        return int(np.argmax(self.probabilities))


class _Area(NamedTuple):
    """A rectangle of pixels; right and bottom are exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    def meets(self, other: _Area) -> bool:
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )

    def within(self, outer: _Area) -> bool:
        return (
            outer.left <= self.left
            and outer.top <= self.top
            and self.right <= outer.right
            and self.bottom <= outer.bottom
        )


def annotate(image: np.ndarray, faces: Sequence[FaceLabel], *, charts: bool = True) -> np.ndarray:
    """Returns a copy of an image with its faces marked.

    A chart is drawn next to its face if it covers no other face. Where there is no room, slim bars
    without names go into the face's box.

    Args:
        image: uint8 [H, W, 3] RGB.
        faces: in any order; earlier ones are drawn on top.
        charts: also draw the bar charts of faces that can be read.
    """
    canvas = np.ascontiguousarray(image).copy()
    bounds = _Area(0, 0, image.shape[1], image.shape[0])
    sizes = [_text_size(face, bounds) for face in faces]
    boxes = [_box(face) for face in faces]
    labels = [_label(*known, bounds) for known in zip(faces, boxes, sizes, strict=True)]
    taken = [*boxes, *(area for _, area in labels)]
    for n in reversed(range(len(faces))):
        _outline(canvas, boxes[n], faces[n].colour, thickness=max(2, round(sizes[n] / 8)))
        if charts and faces[n].readable:
            panel = _free_panel(boxes[n], sizes[n], bounds, taken)
            if panel is None:
                _slim_bars(canvas, boxes[n], faces[n], sizes[n])
            else:
                _chart(canvas, panel, faces[n], sizes[n])
                taken.append(panel)
    for face, size, (text, area) in zip(faces, sizes, labels, strict=True):
        _write_label(canvas, area, text, face.colour, size)
    return canvas


def _text_size(face: FaceLabel, bounds: _Area) -> int:
    shorter = min(bounds.right, bounds.bottom)
    least = max(_LEAST, _LEAST_OF_IMAGE * shorter)
    return round(np.clip(_OF_FACE * face.box[3], least, max(least, _MOST_OF_IMAGE * shorter)))


def _box(face: FaceLabel) -> _Area:
    x, y, width, height = face.box
    return _Area(round(x), round(y), round(x + width), round(y + height))


def _label(face: FaceLabel, box: _Area, size: int, bounds: _Area) -> tuple[str, _Area]:
    """The label's text and area: above the box, or inside its top at the edge of the image."""
    best = face.index
    doubt = "?" if face.uncertain else ""
    said = f"{EXPRESSIONS[best]}{doubt} {face.probabilities[best]:.0%}"
    text = f"{face.name} {said if face.readable else '? ' + face.quality}".strip()
    height = round(1.5 * size)
    width = text_mask(text, size).shape[1] + round(1.7 * size)
    left = int(np.clip(box.left, 0, max(0, bounds.right - width)))
    top = box.top - height if box.top >= height else max(0, box.top)
    top = min(top, max(0, bounds.bottom - height))
    return text, _Area(left, top, left + width, top + height)


def _free_panel(box: _Area, size: int, bounds: _Area, taken: list[_Area]) -> _Area | None:
    """The area right, left, below or above the box in which the chart covers nothing else."""
    width = round((_NAMES + _BARS + 2 * _PAD) * size)
    height = round((_LINE * len(EXPRESSIONS) + 2 * _PAD) * size)
    gap = max(2, round(0.4 * size))
    top = int(np.clip(box.top, 0, max(0, bounds.bottom - height)))
    left = int(np.clip(box.left, 0, max(0, bounds.right - width)))
    label = round(1.5 * size)
    for x, y in (
        (box.right + gap, top),
        (box.left - gap - width, top),
        (left, box.bottom + gap),
        (left, box.top - label - gap - height),
    ):
        panel = _Area(x, y, x + width, y + height)
        if panel.within(bounds) and not any(panel.meets(area) for area in taken):
            return panel
    return None


def _chart(canvas: np.ndarray, panel: _Area, face: FaceLabel, size: int) -> None:
    _plate(canvas, panel)
    pad = round(_PAD * size)
    start = panel.left + pad + round(_NAMES * size)
    small = round(0.85 * size)
    for n, (name, share) in enumerate(zip(EXPRESSIONS, face.probabilities, strict=True)):
        top = panel.top + pad + round(n * _LINE * size)
        put_text(canvas, name, panel.left + pad, top, small)
        length = max(1, round(float(share) * _BARS * size))
        bottom = top + max(2, round(0.95 * size))
        cv2.rectangle(canvas, (start, top), (start + length - 1, bottom - 1), _RGB[n], cv2.FILLED)


def _slim_bars(canvas: np.ndarray, box: _Area, face: FaceLabel, size: int) -> None:
    """Draws seven upright bars inside the bottom of the box."""
    inside = _Area(box.left + 2, box.bottom - 2 - round(1.6 * size), box.right - 2, box.bottom - 2)
    step = (inside.right - inside.left) / len(EXPRESSIONS)
    if step < 3 or inside.top <= box.top + round(1.5 * size):
        return
    _plate(canvas, inside)
    for n, share in enumerate(face.probabilities):
        left, right = (round(inside.left + (n + edge) * step) for edge in (0.15, 0.85))
        top = inside.bottom - 1 - round(float(share) * (inside.bottom - inside.top - 2))
        cv2.rectangle(canvas, (left, top), (right - 1, inside.bottom - 1), _RGB[n], cv2.FILLED)


def _outline(canvas: np.ndarray, box: _Area, colour: tuple[int, ...], *, thickness: int) -> None:
    corners = (box.left, box.top), (box.right - 1, box.bottom - 1)
    cv2.rectangle(canvas, *corners, _PLATE, thickness + max(2, thickness // 2))
    cv2.rectangle(canvas, *corners, colour, thickness)


def _write_label(
    canvas: np.ndarray, area: _Area, text: str, colour: tuple[int, ...], size: int
) -> None:
    _plate(canvas, area)
    swatch = round(0.65 * size)
    left, top = area.left + round(0.35 * size), area.top + (area.bottom - area.top - swatch) // 2
    cv2.rectangle(canvas, (left, top), (left + swatch - 1, top + swatch - 1), colour, cv2.FILLED)
    put_text(canvas, text, area.left + round(1.35 * size), area.top + round(0.16 * size), size)


def _plate(canvas: np.ndarray, area: _Area) -> None:
    part = canvas[max(0, area.top) : max(0, area.bottom), max(0, area.left) : max(0, area.right)]
    if part.size:
        dark = np.full_like(part, _PLATE)
        cv2.addWeighted(dark, _PLATE_OPACITY, part, 1 - _PLATE_OPACITY, 0, dst=part)
