"""Finds the faces of images that lie on their side or upside down and do not say so."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable

import cv2
import numpy as np

from fer_jax.faces.detect import Detection, Detector

# Turns clockwise, the usual ones first: cameras lie on a side more often than upside down.
_TURNS = {
    1: cv2.ROTATE_90_CLOCKWISE,
    3: cv2.ROTATE_90_COUNTERCLOCKWISE,
    2: cv2.ROTATE_180,
}
_MOST_ROLL = math.radians(45)  # a face that leans further is better seen after a turn
# Of 46 faces in 21 images, the best that was found upside down or on its side scored 0.85, and every
# image had its best faces the right way up, once by 0.07.
_PLAIN = 0.9  # an upright face this certain ends the search
_CERTAIN = 0.8  # least score of the best face after a turn
_MARGIN = 0.05  # by which the faces after a turn must be better


class TurningDetector:
    """Looks at an image in its four turns and keeps the one that shows its faces best.

    Boxes and landmarks are those of the image as it is given; `turns` states how it was turned. An image
    with a plain upright face costs no second look.
    """

    def __init__(self, detector: Detector) -> None:
        """Wraps a detector that finds upright faces."""
        self._detector = detector

    def detect(self, image: np.ndarray) -> list[Detection]:
        """Returns the faces of uint8 [H, W, 3] RGB, in any order."""
        found = self._detector.detect(image)
        if any(face.score >= _PLAIN and _is_upright(face) for face in found):
            return found
        least = _worth(found) + _MARGIN
        for turns, code in _TURNS.items():
            turned = cv2.rotate(image, code)
            faces = self._detector.detect(turned)
            if any(face.score >= _CERTAIN for face in faces) and _worth(faces) > least:
                least = _worth(faces)
                height, width = turned.shape[:2]
                found = [
                    dataclasses.replace(
                        _turned(face, 4 - turns, width=width, height=height), turns=turns
                    )
                    for face in faces
                ]
        return found


def _worth(faces: Iterable[Detection]) -> float:
    return sum(face.score for face in faces if _is_upright(face))


def _is_upright(face: Detection) -> bool:
    if face.landmarks is None:
        return True
    across = face.landmarks[1] - face.landmarks[0] + face.landmarks[4] - face.landmarks[3]
    return abs(math.atan2(across[1], across[0])) <= _MOST_ROLL


def _turned(face: Detection, turns: int, *, width: int, height: int) -> Detection:
    """Returns a face of an image of width x height after quarter turns clockwise of that image."""
    box = face.x, face.y, face.width, face.height
    points = face.landmarks
    for _ in range(turns):
        x, y, across, down = box
        box = height - y - down, x, down, across
        if points is not None:
            points = np.stack([height - points[:, 1], points[:, 0]], axis=1)
        width, height = height, width
    x, y, across, down = box
    return dataclasses.replace(face, x=x, y=y, width=across, height=down, landmarks=points)
