"""Draws what viewers see: marked or hidden faces, the camera's state, as JPEG. Pure.

Faces are hidden before they are marked and encoded; hidden pixels never leave the server.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import cv2
import numpy as np

from fer_jax.faces.annotate import FaceLabel, annotate
from fer_jax.faces.text import put_text, text_mask
from fer_jax.media.encoding import jpeg
from server.live.analysis import TrackedFace

Box = tuple[float, float, float, float]

_PLATE = (20, 23, 27)
_DIMMED = 0.35  # share of an image's brightness that remains behind a notice

# A box ends at the forehead and the chin: this margin on every side hides hair and ears too.
_AROUND_FACE = 0.2
_BLOCKS = 6  # across a hidden face's shorter side; reveals neither identity nor expression

_SHORTEST, _LEAST_TEXT = 9, 10  # pixels
_LONGEST = 200  # characters


def hide(image: np.ndarray, boxes: Sequence[Box]) -> np.ndarray:
    """Returns a copy of uint8 [H, W, 3] RGB with coarse blocks over and around these faces."""
    image = image.copy()
    for box in boxes:
        _pixelate(image, box)
    return image


def draw(
    image: np.ndarray,
    faces: Sequence[TrackedFace],
    *,
    mirror: bool = False,
    charts: bool = False,
) -> np.ndarray:
    """Returns a new image, uint8 [H, W, 3] RGB, with its faces marked.

    Args:
        image: uint8 [H, W, 3] RGB; not changed.
        faces: in any order.
        mirror: swap left and right; text stays readable.
        charts: also draw the seven probabilities next to each face.
    """
    boxes = [face.box for face in faces]
    if mirror:
        boxes = [_mirrored(box, image.shape[1]) for box in boxes]
        image = cv2.flip(image, 1)
    labels = [
        FaceLabel(
            box,
            face.probabilities,
            uncertain=face.uncertain,
            name=f"#{face.track}",
            expression=face.expression,
            quality=face.quality,
        )
        for box, face in zip(boxes, faces, strict=True)
    ]
    return annotate(image, labels, charts=charts)


def notice(
    title: str, text: str, *, width: int, height: int, behind: np.ndarray | None = None
) -> np.ndarray:
    """Returns an image with a message, uint8 [H, W, 3] RGB.

    Args:
        title: large; a camera's name.
        text: one line below it; text that does not fit is cut.
        width, height: in pixels; those of `behind` if there is one.
        behind: the last image, shown darkened; None for a plain background.
    """
    if behind is None:
        canvas = np.full((height, width, 3), _PLATE, np.uint8)
    else:
        canvas = cv2.addWeighted(behind, _DIMMED, np.full_like(behind, _PLATE), 1 - _DIMMED, 0)
    height, width = canvas.shape[:2]
    if min(width, height) < _SHORTEST:
        return canvas
    large, small = round(max(_LEAST_TEXT, height / 14)), round(max(_LEAST_TEXT, height / 24))
    middle = height // 2
    _centred(canvas, title, middle - round(1.4 * large), large)
    _centred(canvas, text, middle + round(0.4 * small), small)
    return canvas


def badge(image: np.ndarray, text: str) -> np.ndarray:
    """Returns a copy of uint8 [H, W, 3] RGB with a short text in the top left corner."""
    canvas = image.copy()
    height, width = canvas.shape[:2]
    if min(width, height) < _SHORTEST:
        return canvas
    size = round(max(_LEAST_TEXT, height / 24))
    pad = size // 2
    right = min(width, 3 * pad + text_mask(text, size).shape[1])
    canvas[pad : min(height, 2 * pad + 2 * size), pad:right] = _PLATE
    put_text(canvas, text, 2 * pad, 2 * pad, size)
    return canvas


@functools.lru_cache(maxsize=64)
def withheld(title: str, *, width: int, height: int, quality: int) -> bytes:
    """Returns the JPEG that replaces the images of a camera with privacy "no_picture"."""
    return jpeg(withheld_image(title, width=width, height=height), quality=quality)


@functools.lru_cache(maxsize=16)
def withheld_image(title: str, *, width: int, height: int) -> np.ndarray:
    """Returns that image, uint8 [H, W, 3] RGB; do not change it."""
    return notice(title, "no image is sent, results only", width=width, height=height)


def _mirrored(box: Box, width: int) -> Box:
    return (width - box[0] - box[2], *box[1:])


def _pixelate(canvas: np.ndarray, box: Box) -> None:
    """Pixelates a face and its surroundings, in place."""
    x, y, width, height = box
    around = _AROUND_FACE * max(width, height)
    left, top = max(0, int(x - around)), max(0, int(y - around))
    right, bottom = max(0, round(x + width + around)), max(0, round(y + height + around))
    part = canvas[top:bottom, left:right]
    if not part.size:
        return
    wide, high = part.shape[1], part.shape[0]
    block = max(1.0, min(width, height) / _BLOCKS)
    blocks = max(1, round(wide / block)), max(1, round(high / block))
    coarse = cv2.resize(part, blocks, interpolation=cv2.INTER_AREA)
    part[:] = cv2.resize(coarse, (wide, high), interpolation=cv2.INTER_NEAREST)


def _centred(canvas: np.ndarray, text: str, top: int, size: int) -> None:
    """Writes a centred line, smaller if it is too long, cut if it still is."""
    if not text:
        return
    room = round(0.92 * canvas.shape[1])
    text = text[:_LONGEST]
    while size > _LEAST_TEXT and text_mask(text, size).shape[1] > room:
        size -= 1
    while len(text) > 1 and (width := text_mask(text, size).shape[1]) > room:
        fits = min(len(text) - 2, round(len(text) * room / width))
        text = text[: max(0, fits)].rstrip() + "…"
    left = max(0, (canvas.shape[1] - text_mask(text, size).shape[1]) // 2)
    put_text(canvas, text, left, top, size)
