"""Cuts a face out of a photograph so that it looks to the network like a FER2013 picture.

Where the face lies in a FER2013 picture was measured, not guessed: `python -m fer_jax.faces.measure_crop
--data FER2013 --out DIR` runs the detector on the training faces and prints the constants below.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

import cv2
import numpy as np

from fer_jax.faces.detect import Detection
from fer_jax.preprocess import FACE_SIZE

Align = Literal["landmarks", "box"]

# Medians over 3,000 training faces, in units of the picture's side. Between 16 % and 84 % of them lie
# within 0.05 of these positions, within 12 % of this size and within 6 degrees of level.
EYES = (0.5, 0.385)  # the point between the eyes
MOUTH = (0.5, 0.761)  # the point between the corners of the mouth
EYE_DISTANCE = 0.369
BOX_CENTRE = (0.5, 0.52)
BOX_SIDE = 0.903  # the square root of the box's area

_MARGIN = 2  # pixels around a cut that interpolation looks at
_FINE = 2  # pixels a side that are averaged to one of the crop


@dataclasses.dataclass(frozen=True)
class Square:
    """The square of a photograph that becomes a crop.

    Attributes:
        x, y: its centre in pixels; pixel (0, 0) covers 0 to 1.
        side: its side in pixels.
        roll: by how much it is turned, in radians, clockwise as seen.
    """

    x: float
    y: float
    side: float
    roll: float = 0.0

    def to_picture(self, points: np.ndarray) -> np.ndarray:
        """Maps points of the crop, float [N, 2] from 0 to 1, to the photograph's pixels."""
        return (points - 0.5) * self.side @ self._turn().T + [self.x, self.y]

    def to_crop(self, points: np.ndarray) -> np.ndarray:
        """Maps the photograph's pixels, float [N, 2], to the crop's 0 to 1."""
        return (points - [self.x, self.y]) @ self._turn() / self.side + 0.5

    def _turn(self) -> np.ndarray:
        cos, sin = math.cos(self.roll), math.sin(self.roll)
        return np.array([[cos, -sin], [sin, cos]])


def crop_face(
    image: np.ndarray, detection: Detection, *, align: Align = "landmarks", size: int = FACE_SIZE
) -> np.ndarray:
    """Returns a face as uint8 [size, size] or [size, size, 3], whatever the picture has.

    What lies beyond the picture's border repeats its last pixels. A detection that says it is a crop
    already comes back as its box, untouched and at its own size.

    Args:
        image: uint8 [H, W] or [H, W, 3].
        detection: one face of it.
        align: "landmarks" levels the eyes where the detector gave landmarks; "box" only uses the box.
        size: pixels; `preprocess.grey_face` makes 48 of any other.
    """
    if detection.is_crop:
        left, top = round(detection.x), round(detection.y)
        return image[top : top + round(detection.height), left : left + round(detection.width)]
    return cut(image, square_of(detection, align=align), size=size)


def square_of(detection: Detection, *, align: Align = "landmarks") -> Square:
    """Returns the square in which the face lies as the training faces lie in their pictures.

    Its side comes from the box, which a turned head or an open mouth changes least; with landmarks
    its centre is the mean of what they and the box say, and their eyes are level.
    """
    side = math.sqrt(max(detection.width * detection.height, 1.0)) / BOX_SIDE
    x = detection.x + detection.width / 2 + (0.5 - BOX_CENTRE[0]) * side
    y = detection.y + detection.height / 2 + (0.5 - BOX_CENTRE[1]) * side
    if align == "box" or detection.landmarks is None:
        return Square(x, y, side)
    centre, roll = _centre_and_roll(detection.landmarks, side)
    return Square((x + centre.real) / 2, (y + centre.imag) / 2, side, roll)


def _centre_and_roll(landmarks: np.ndarray, side: float) -> tuple[complex, float]:
    """What eyes and mouth say, in a least-squares sense, of a square of this side.

    With u the points of a training picture and v those of the photograph, both as complex numbers
    about their means, the best turn is the angle of sum(conj(u) v).
    """
    points = landmarks.astype(float) @ np.array([1, 1j])
    seen = np.array([points[0], points[1], (points[3] + points[4]) / 2])
    wanted = np.array([-EYE_DISTANCE / 2, EYE_DISTANCE / 2, 1j * (MOUTH[1] - EYES[1])])
    wanted += complex(EYES[0] - 0.5, EYES[1] - 0.5)
    roll = float(np.angle(np.vdot(wanted - wanted.mean(), seen - seen.mean())))
    return complex(seen.mean() - side * np.exp(1j * roll) * wanted.mean()), roll


def cut(image: np.ndarray, square: Square, *, size: int) -> np.ndarray:
    """Returns a square of a picture as uint8 [size, size] or [size, size, 3].

    A large face is first reduced by averaging areas and then turned at twice the crop's size, so
    that nothing is skipped: sampling a turned square directly would alias.
    """
    left, top, right, bottom = _surroundings(square, width=image.shape[1], height=image.shape[0])
    part = image[top:bottom, left:right]
    reduce = min(1.0, _FINE * size / square.side)
    if reduce < 1:
        wide, high = (max(1, round(length * reduce)) for length in part.shape[1::-1])
        small = cv2.resize(part, (wide, high), interpolation=cv2.INTER_AREA)
    else:
        small = part
    to_small = small.shape[1] / part.shape[1], small.shape[0] / part.shape[0]
    corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    source = (square.to_picture(corners) - [left, top]) * to_small - 0.5
    target = corners * _FINE * size - 0.5
    fine = cv2.warpAffine(
        small,
        cv2.getAffineTransform(target.astype(np.float32), source.astype(np.float32)),
        (_FINE * size, _FINE * size),
        flags=cv2.WARP_INVERSE_MAP | (cv2.INTER_LINEAR if square.side > size else cv2.INTER_CUBIC),
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(cv2.resize(fine, (size, size), interpolation=cv2.INTER_AREA), np.uint8)


def _surroundings(square: Square, *, width: int, height: int) -> tuple[int, int, int, int]:
    """The upright rectangle of the picture's pixels that a square needs: left, top, right, bottom.

    Never empty: for a square outside the picture it is the border's nearest pixels.
    """
    corners = square.to_picture(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))
    margin = _MARGIN + square.side / FACE_SIZE
    low, high = corners.min(axis=0) - margin, corners.max(axis=0) + margin
    left, top = (int(np.clip(v, 0, n - 1)) for v, n in zip(low, (width, height), strict=True))
    right = int(np.clip(math.ceil(high[0]), left + 1, width))
    bottom = int(np.clip(math.ceil(high[1]), top + 1, height))
    return left, top, right, bottom
