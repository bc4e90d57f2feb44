"""Chooses the sizes at which YuNet searches an image, and merges the faces found at several sizes.

YuNet finds faces of about 24 to 400 pixels. A face of fewer than 40 pixels shows no expression, so 0.6
of the image's resolution is enough; the smallest images, mostly close-ups, are not reduced below 160.
Large images are also searched at 160 pixels, for a face that fills them. Small images in which nothing
is found are searched again, enlarged.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np

# Faces found and processor time per image (one thread), by the largest size that is searched:
#
#     size   760 web photos of 350 px   139 faces in a 640 x 360 video   a 1280 x 720 photo
#      160      99.1 %  1.9 ms                61.9 %   1.4 ms                 2.2 ms
#      320      99.6 %  1.7 ms                90.6 %   2.0 ms                 3.0 ms
#      640      99.6 %  1.9 ms                95.0 %   5.5 ms                12.0 ms
#      960      99.6 %  1.9 ms                95.0 %   5.5 ms                19.7 ms
#     full      99.7 %  8.5 ms                97.1 %  12.6 ms                46.8 ms
#
# Haar's cascade finds 72.6 % of the first column's faces in 38 ms. 640 finds faces of 4 % of the
# image's longer side, whatever its resolution.
_NEEDED = 0.6  # of the image's own resolution
_SMALLEST = 160  # pixels of the longer side
_STRIDE = 32  # YuNet pads to a multiple of this
_SECOND_PASS = 1.6

# "full" adds the original resolution to the usual sizes, and intermediate sizes for very large images.
# Tiles bound the memory (4000 x 3000 in one piece takes 300 MB). They overlap by the largest face that
# one tile must hold whole.
_USUAL = 640
_STEP = 4
_TILE = 1280
_OVERLAP = 320


class Pass(NamedTuple):
    """One search of the whole image, reduced or enlarged by `scale`."""

    scale: float


def plan(width: int, height: int, size: int | None) -> tuple[list[Pass], list[Pass]]:
    """Returns the passes over an image, and the passes to add if those find nothing.

    Args:
        width, height: of the image, in pixels.
        size: the longer side of the largest pass in pixels; None for the image's resolution.
    """
    longer = max(width, height)
    if size is None:
        usual, other = plan(width, height, _USUAL)
        scales = [1.0]
        while longer * scales[-1] > _STEP * _USUAL:
            scales.append(scales[-1] / _STEP)
        return [*map(Pass, scales), *usual, *other], []
    needed = _NEEDED * longer // _STRIDE * _STRIDE
    side = min(size, max(_SMALLEST, needed))
    if side > 2 * _SMALLEST:
        return [Pass(side / longer), Pass(_SMALLEST / longer)], []
    other = min(size, _SECOND_PASS * side)
    return [Pass(side / longer)], [Pass(other / longer)] if other > side else []


def scaled(image: np.ndarray, search: Pass) -> np.ndarray:
    """Returns uint8 [H, W, 3] at the scale of the pass; each side keeps at least one pixel."""
    height, width = image.shape[:2]
    size = max(1, round(width * search.scale)), max(1, round(height * search.scale))
    if size == (width, height):
        return image
    return cv2.resize(
        image, size, interpolation=cv2.INTER_AREA if search.scale < 1 else cv2.INTER_LINEAR
    )


class Tile(NamedTuple):
    """A part of an image of `width` x `height` pixels."""

    left: int
    top: int
    right: int
    bottom: int
    width: int
    height: int

    def rows_in_image(self, rows: np.ndarray, to_pixels: tuple[float, float]) -> np.ndarray:
        """Moves YuNet's rows (float32 [N, 15]) from the tile to the image, `to_pixels` x and y larger.

        A face cut by a border inside the image is left to the next tile.
        """
        x, y, right, bottom = (
            rows[:, 0],
            rows[:, 1],
            rows[:, 0] + rows[:, 2],
            rows[:, 1] + rows[:, 3],
        )
        wide, high = self.right - self.left, self.bottom - self.top
        cut = (x < 1) & (self.left > 0) | (y < 1) & (self.top > 0)
        cut |= (right > wide - 1) & (self.right < self.width)
        cut |= (bottom > high - 1) & (self.bottom < self.height)
        rows = rows[~cut].copy()
        rows[:, [0, *range(4, 14, 2)]] += self.left
        rows[:, [1, *range(5, 14, 2)]] += self.top
        rows[:, 0:14:2] *= to_pixels[0]
        rows[:, 1:14:2] *= to_pixels[1]
        return rows


def tiles(width: int, height: int) -> Iterator[Tile]:
    """Covers an image with overlapping tiles; an image of up to 1280 x 1280 pixels is one tile."""
    for top, bottom in _spans(height):
        for left, right in _spans(width):
            yield Tile(left, top, right, bottom, width, height)


def _spans(length: int) -> list[tuple[int, int]]:
    if length <= _TILE:
        return [(0, length)]
    count = -(-(length - _OVERLAP) // (_TILE - _OVERLAP))
    starts = np.linspace(0, max(0, length - _TILE), count).astype(int)
    return [(int(start), min(length, int(start) + _TILE)) for start in starts]


def without_duplicates(rows: np.ndarray, *, iou: float) -> np.ndarray:
    """Returns YuNet's rows (float32 [N, 15]) by falling score, one for each face.

    Args:
        iou: two boxes with a larger intersection over union are one face. So are two boxes if one
            lies almost wholly inside the other and is not much smaller, such as a cheek detected as
            a face. A much smaller box is another person in front of or behind the large face.
    """
    rows = rows[np.argsort(-rows[:, 14], kind="stable")]
    kept: list[int] = []
    for k, row in enumerate(rows):
        shared, smaller = _overlaps(row, rows[kept])
        if not np.any((shared > iou) | (smaller > _INSIDE) & (shared > _PIECE)):
            kept.append(k)
    return rows[kept]


# Pieces of a face that fills the image have 15 to 40 % of its area.
_INSIDE, _PIECE = 0.85, 0.1


def _overlaps(row: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Intersection of one box with others over the union, and over the smaller box; each [N]."""
    low = np.maximum(row[:2], others[:, :2])
    high = np.minimum(row[:2] + row[2:4], others[:, :2] + others[:, 2:4])
    both = np.prod(np.maximum(high - low, 0), axis=1)
    areas, area = np.prod(others[:, 2:4], axis=1), np.prod(row[2:4])
    return both / (areas + area - both), both / np.minimum(areas, area)
