"""Converts a decoded frame to the displayed image: square pixels, upright, RGB."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

import cv2
import numpy as np
from av.video.frame import VideoFrame as RawFrame
from av.video.reformatter import Interpolation, VideoReformatter

# Pixels within 1 % of a square are an encoder's rounding: invisible, and sharper without scaling.
_SQUARE = Fraction(1, 100)
_WIDEST = Fraction(4)  # a larger aspect of a pixel is an invalid header

_TURNS = {1: cv2.ROTATE_90_COUNTERCLOCKWISE, 2: cv2.ROTATE_180, 3: cv2.ROTATE_90_CLOCKWISE}


class Shape(NamedTuple):
    """How a frame is displayed: its size with square pixels, then quarter turns counterclockwise."""

    width: int
    height: int
    turns: int

    @property
    def shown(self) -> tuple[int, int]:
        """Height and width of the upright image."""
        return (self.width, self.height) if self.turns % 2 else (self.height, self.width)


def shape_of(width: int, height: int, *, aspect: Fraction, rotation: int) -> Shape:
    """Returns how stored pixels are displayed.

    Args:
        width, height: as stored.
        aspect: width of a stored pixel divided by its height. The shorter side is enlarged, so that no
            pixel is lost.
        rotation: degrees counterclockwise; rounded to a quarter turn.
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
        """Returns the displayed image, uint8 [H, W, 3], in memory from `allocate`.

        Raises:
            av.error.FFmpegError: a format without a conversion to RGB.
        """
        scaled = (shape.width, shape.height) != (frame.width, frame.height)
        converted = self._reformatter.reformat(
            frame,
            width=shape.width,
            height=shape.height,
            format="rgb24",
            interpolation=Interpolation.BICUBIC if scaled else Interpolation.BILINEAR,
            threads=1,  # more do not help, measured at 640 x 360 and 1920 x 1080
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
