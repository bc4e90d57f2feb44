"""Writes text into images in DejaVu Sans, the font that Matplotlib ships; caches rendered lines."""

from __future__ import annotations

import functools
import math
import threading
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.ft2font import FT2Font

INK = (245, 245, 245)

_LOCK = threading.Lock()


def put_text(canvas: np.ndarray, text: str, left: int, top: int, size: int) -> None:
    """Writes a line of text whose capitals and descenders lie within `size` pixels below `top`.

    Args:
        canvas: uint8 [H, W, 3] RGB, changed in place; text outside it is clipped.
        text: one line.
        left, top: in pixels; left is 0 or more.
        size: height of the line in pixels.
    """
    mask = text_mask(text, size)
    part = canvas[max(0, top) : max(0, top + mask.shape[0]), left : left + mask.shape[1]]
    mask = mask[max(0, -top) :, :][: part.shape[0], : part.shape[1], None]
    part[:] = (part * (1 - mask) + np.array(INK) * mask).round()


@functools.lru_cache(maxsize=4096)
def text_mask(text: str, size: int) -> np.ndarray:
    """Returns one line as coverage, float32 [about 1.2 * size, width], 0 to 1; do not change it."""
    with _LOCK:  # a font is a drawing surface, too
        font = _font()
        font.set_size(size, 72)
        font.set_text(text)
        font.draw_glyphs_to_bitmap(antialiased=True)
        drawn = np.array(font.get_image(), np.float32) / 255
        below = round(font.get_descent() / 64)
    # Every line has the same height, whatever its letters, so that baselines align.
    ascent, descent = math.ceil(0.8 * size) + 1, math.ceil(0.25 * size)
    line = np.zeros((ascent + descent, drawn.shape[1]), np.float32)
    top = ascent - (drawn.shape[0] - below)
    kept = drawn[max(0, -top) :][: line.shape[0] - max(0, top)]
    line[max(0, top) : max(0, top) + kept.shape[0]] = kept
    return line


@functools.cache
def _font() -> FT2Font:
    return FT2Font(str(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"))
