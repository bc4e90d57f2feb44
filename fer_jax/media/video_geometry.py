"""A decoded frame -> the image as it is shown: square pixels, upright, RGB."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

import cv2
import numpy as np
from av.video.frame import VideoFrame as RawFrame
from av.video.reformatter import Interpolation, VideoReformatter

# Pixels within 1 % of a square are the rounding of an encoder: nothing to see, and sharper as they are.
_SQUARE = Fraction(1, 100)
_WIDEST = Fraction(4)  # a pixel's aspect beyond it is nonsense in a header

_TURNS = {1: cv2.ROTATE_90_COUNTERCLOCKWISE, 2: cv2.ROTATE_180, 3: cv2.ROTATE_90_CLOCKWISE}


class Shape(NamedTuple):
    """How a frame is shown: its size with square pixels, then quarter turns counterclockwise."""

    width: int
    height: int
    turns: int

    @property
    def shown(self) -> tuple[int, int]:
        """Height and width of the upright image."""
        return (self.width, self.height) if self.turns % 2 else (self.height, self.width)


def shape_of(width: int, height: int, *, aspect: Fraction, rotation: int) -> Shape:
    """Returns how stored pixels are shown.

    Args:
        width, height: as stored.
        aspect: width of a stored pixel by its height. The side that is too short is made longer, so
            that no pixel is lost.
        rotation: degrees counterclockwise; the nearest quarter turn is taken.
    """
    if 1 / _WIDEST <= aspect <= _WIDEST and abs(aspect - 1) > _SQUARE:
        if aspect > 1:
            width = round(width * aspect)
        else:
            height = round(height / aspect)
    return Shape(width, height, round(rotation / 90) % 4)


class Converter:
    """Converts the frames of one video."""

    def __init__(self) -> None:
        """Starts without a frame."""
        self._reformatter = VideoReformatter()

    def rgb(
        self, frame: RawFrame, shape: Shape, allocate: Callable[[tuple[int, int, int]], np.ndarray]
    ) -> np.ndarray:
        """Returns the shown image, uint8 [H, W, 3], in the memory that `allocate` gives for its shape.

        Raises:
            av.error.FFmpegError: a format that has no conversion to RGB.
        """
        scaled = (shape.width, shape.height) != (frame.width, frame.height)
        converted = self._reformatter.reformat(
            frame,
            width=shape.width,
            height=shape.height,
            format="rgb24",
            interpolation=Interpolation.BICUBIC if scaled else Interpolation.BILINEAR,
            threads=1,  # more gain nothing here, measured at 640 x 360 and 1920 x 1080
        )
        plane = converted.planes[0]
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(shape.height, plane.line_size)
        pixels = rows[:, : 3 * shape.width].reshape(shape.height, shape.width, 3)
        image = allocate((*shape.shown, 3))
        if shape.turns:
            cv2.rotate(pixels, _TURNS[shape.turns], dst=image)
        else:
            np.copyto(image, pixels)
        return image
