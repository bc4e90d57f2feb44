"""Crops a face from a photograph, framed like a FER2013 image.

The framing was measured: `python benchmarks/measure_crop.py --data FER2013 --out DIR` runs the detector
on the training faces and prints the constants below.
"""

from __future__ import annotations

import cmath
import dataclasses
import math
from typing import Literal

import cv2
import numpy as np

from fer_jax.faces.detect import Detection
from fer_jax.faces.preprocess import FACE_SIZE, grey_face

Align = Literal["landmarks", "box"]

# Medians over 3,000 training faces, in units of the image's side. Between 16 % and 84 % of them lie
# within 0.05 of these positions, within 12 % of this size and within 6 degrees of level.
EYES = (0.5, 0.385)  # the point between the eyes
MOUTH = (0.5, 0.761)  # the point between the corners of the mouth
EYE_DISTANCE = 0.369
BOX_CENTRE = (0.5, 0.52)
BOX_SIDE = 0.903  # the square root of the box's area

# The same eyes and mouth as complex numbers relative to the image's centre, and their mean.
_EYES = complex(EYES[0] - 0.5, EYES[1] - 0.5)
_WANTED = (
    _EYES - EYE_DISTANCE / 2,
    _EYES + EYE_DISTANCE / 2,
    complex(MOUTH[0] - 0.5, MOUTH[1] - 0.5),
)
_WANTED_MIDDLE = sum(_WANTED) / 3

_MARGIN = 2  # pixels around a crop that interpolation reads
_FINE = 2  # source pixels per side that are averaged to one pixel of the crop


@dataclasses.dataclass(frozen=True)
class Square:
    """The square of a photograph to crop.

    Attributes:
        x, y: its centre in pixels; pixel (0, 0) covers 0 to 1.
        side: its side in pixels.
        roll: its rotation in radians, clockwise as seen.
    """

    x: float
    y: float
    side: float
    roll: float = 0.0

    def to_image(self, points: np.ndarray) -> np.ndarray:
        """Maps points of the crop, float [N, 2] from 0 to 1, to the photograph's pixels."""
        cos, sin = math.cos(self.roll), math.sin(self.roll)
        rotation = np.array([[cos, -sin], [sin, cos]])
        return (points - 0.5) * self.side @ rotation.T + [self.x, self.y]


def crop_face(
    image: np.ndarray, detection: Detection, *, align: Align = "landmarks", size: int = FACE_SIZE
) -> np.ndarray:
    """Returns a face as uint8 [size, size] or [size, size, 3], with the image's channels.

    Beyond the image, its border pixels repeat. A detection marked `is_crop` is returned as its box,
    unchanged and at its original size.

    Args:
        image: uint8 [H, W] or [H, W, 3].
        detection: one face of it.
        align: "landmarks" levels the eyes where the detector gave landmarks; "box" only uses the box.
        size: pixels; `preprocess.grey_face` resizes any other size to 48.
    """
    if detection.is_crop:
        left, top = round(detection.x), round(detection.y)
        return image[top : top + round(detection.height), left : left + round(detection.width)]
    return cut(image, square_of(detection, align=align), size=size)


def grey_crop(image: np.ndarray, detection: Detection, *, align: Align = "landmarks") -> np.ndarray:
    """Returns a face as the network takes it, uint8 [48, 48] grey; see `crop_face`.

    Converting to grey first takes about half the time for boxes of 80 to 320 pixels.
    """
    if detection.is_crop:
        return grey_face(crop_face(image, detection))
    return cut(image, square_of(detection, align=align), size=FACE_SIZE, grey=True)


def square_of(detection: Detection, *, align: Align = "landmarks") -> Square:
    """Returns the square that frames a face like the training faces.

    Its side comes from the box, which a turned head or an open mouth changes least. With landmarks,
    its centre is the mean of their estimate and the box's, and the eyes are level.
    """
    side = math.sqrt(max(detection.width * detection.height, 1.0)) / BOX_SIDE
    # Down is where the face's chin is.
    offset = complex(0.5 - BOX_CENTRE[0], 0.5 - BOX_CENTRE[1]) * side * (-1j) ** detection.turns
    x = detection.x + detection.width / 2 + offset.real
    y = detection.y + detection.height / 2 + offset.imag
    if align == "box" or detection.landmarks is None:
        return Square(x, y, side, -math.pi / 2 * detection.turns)
    centre, roll = _centre_and_roll(detection.landmarks, side)
    return Square((x + centre.real) / 2, (y + centre.imag) / 2, side, roll)


def _centre_and_roll(landmarks: np.ndarray, side: float) -> tuple[complex, float]:
    """Fits a square of this side to eyes and mouth by least squares.

    With u the points of a training image and v those of the photograph, both as complex numbers
    relative to their means, the best rotation is the angle of sum(conj(u) v).
    """
    one_eye, other_eye, _, *mouth = (complex(*point) for point in landmarks.tolist())
    seen = one_eye, other_eye, sum(mouth) / 2
    middle = sum(seen) / 3
    pairs = zip(_WANTED, seen, strict=True)
    rotation = sum((u - _WANTED_MIDDLE).conjugate() * (v - middle) for u, v in pairs)
    roll = cmath.phase(rotation)
    return middle - side * cmath.rect(1, roll) * _WANTED_MIDDLE, roll


def cut(image: np.ndarray, square: Square, *, size: int, grey: bool = False) -> np.ndarray:
    """Returns a square of an image as uint8 [size, size] or [size, size, 3].

    A large face is first reduced by area averaging and then rotated at twice the crop's size, because
    sampling a rotated square directly would alias.

    Args:
        image: uint8 [H, W] or [H, W, 3].
        square: the square to cut.
        size: pixels.
        grey: return grey, luma by ITU-R BT.601.
    """
    left, top, right, bottom = _surroundings(square, width=image.shape[1], height=image.shape[0])
    part = image[top:bottom, left:right]
    if grey and part.ndim == 3:
        part = cv2.cvtColor(part, cv2.COLOR_RGB2GRAY)
    reduce = min(1.0, _FINE * size / square.side)
    if reduce < 1:
        wide, high = (max(1, round(length * reduce)) for length in part.shape[1::-1])
        small = cv2.resize(part, (wide, high), interpolation=cv2.INTER_AREA)
    else:
        small = part
    to_small = small.shape[1] / part.shape[1], small.shape[0] / part.shape[0]
    fine = cv2.warpAffine(
        small,
        _from_fine(square, size=_FINE * size, left=left, top=top, to_small=to_small),
        (_FINE * size, _FINE * size),
        flags=cv2.WARP_INVERSE_MAP | (cv2.INTER_LINEAR if square.side > size else cv2.INTER_CUBIC),
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(cv2.resize(fine, (size, size), interpolation=cv2.INTER_AREA), np.uint8)


def _surroundings(square: Square, *, width: int, height: int) -> tuple[int, int, int, int]:
    """The upright rectangle of pixels that a square needs: left, top, right, bottom.

    Never empty: for a square outside the image it holds the nearest border pixels.
    """
    reach = square.side / 2 * (abs(math.cos(square.roll)) + abs(math.sin(square.roll)))
    reach += _MARGIN + square.side / FACE_SIZE
    left, right = _span(square.x, reach, length=width)
    top, bottom = _span(square.y, reach, length=height)
    return left, top, right, bottom


def _span(centre: float, reach: float, *, length: int) -> tuple[int, int]:
    first = int(min(max(centre - reach, 0), length - 1))
    return first, min(max(math.ceil(centre + reach), first + 1), length)


def _from_fine(
    square: Square, *, size: int, left: int, top: int, to_small: tuple[float, float]
) -> np.ndarray:
    """The affine map, float64 [2, 3], from a crop of `size` pixels to a part of the image.

    Args:
        square: the square to cut.
        size: pixels.
        left, top: of the part, in the image's pixels.
        to_small: the factors by which the part is reduced, x and y.
    """
    step, (x, y) = square.side / size, to_small
    cos, sin = step * math.cos(square.roll), step * math.sin(square.roll)
    first = (1 - size) / 2  # pixel's centre, from the square's
    return np.array(
        [
            [x * cos, -x * sin, x * (square.x - left + first * (cos - sin)) - 0.5],
            [y * sin, y * cos, y * (square.y - top + first * (sin + cos)) - 0.5],
        ]
    )
