"""Finds faces in photographs: with YuNet, with OpenCV's Haar cascade, or not at all for face crops.

A detector is anything with `detect(image) -> list[Detection]` that threads may call side by side.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, Protocol

import cv2
import numpy as np

from fer_jax.errors import FerError
from fer_jax.faces.pyramid import Pass, plan, scaled, tiles, without_duplicates
from fer_jax.faces.yunet import NMS_IOU, YuNet

DetectSize = int | Literal["full"]

DETECT_SIZE = 640  # pixels; see the table in pyramid.py
SCORE_THRESHOLD = 0.6


@dataclasses.dataclass(frozen=True)
class Detection:
    """One face in an image.

    Attributes:
        x, y, width, height: its box in the image's pixels, from forehead to chin; it may extend
            beyond the image. Pixel (0, 0) covers 0 to 1.
        score: the detector's confidence, 0 to 1.
        landmarks: float32 [5, 2] x, y in pixels: left eye, right eye, nose tip, left and right
            corner of the mouth, left and right as seen in the image. None if there are none.
        is_crop: the box is the crop, because the image is already framed like a training face.
        turns: quarter turns clockwise after which it was found; left and right are as seen then.
    """

    x: float
    y: float
    width: float
    height: float
    score: float
    landmarks: np.ndarray | None = None
    is_crop: bool = False
    turns: int = 0


class Detector(Protocol):
    """The interface of a detector; any number of threads call it at once."""

    def detect(self, image: np.ndarray) -> list[Detection]:
        """Returns the faces of uint8 [H, W, 3] RGB, in any order."""
        ...


def left_to_right(found: Iterable[Detection]) -> list[Detection]:
    """Returns faces in the order in which every command lists and numbers them: by their centre's x."""
    return sorted(found, key=lambda face: (face.x + face.width / 2, face.y))


class YuNetDetector:
    """YuNet, run at the image sizes that `pyramid.plan` chooses."""

    def __init__(
        self, *, detect_size: DetectSize = DETECT_SIZE, score_threshold: float = SCORE_THRESHOLD
    ):
        """Loads the network.

        Raises:
            FerError: the weights are not installed, or are not the version we measured.
        """
        self._size: int | None = None if detect_size == "full" else detect_size
        self._network = YuNet(score_threshold=score_threshold)

    def detect(self, image: np.ndarray) -> list[Detection]:
        """Returns the faces of uint8 [H, W, 3] RGB by falling score."""
        height, width = image.shape[:2]
        first, second = plan(width, height, self._size)
        found = self._search(image, first)
        if not len(found):
            found = self._search(image, second)
        return [
            Detection(*map(float, row[:4]), score=float(row[14]), landmarks=row[4:14].reshape(5, 2))
            for row in found
        ]

    def _search(self, image: np.ndarray, passes: list[Pass]) -> np.ndarray:
        rows = [np.empty((0, 15), np.float32)]
        for search in passes:
            small = scaled(image, search)
            to_pixels = image.shape[1] / small.shape[1], image.shape[0] / small.shape[0]
            for tile in tiles(small.shape[1], small.shape[0]):
                faces = self._network(small[tile.top : tile.bottom, tile.left : tile.right])
                rows.append(tile.rows_in_image(faces, to_pixels))
        return without_duplicates(np.concatenate(rows), iou=NMS_IOU)


class HaarDetector:
    """OpenCV's frontal face cascade (Viola and Jones, 2001): no landmarks, upright frontal faces only.

    Its score is not a probability: it is n / (n + 5) for n overlapping windows that agreed.
    """

    def __init__(self, *, detect_size: DetectSize = DETECT_SIZE):
        """Loads the cascade.

        Raises:
            FerError: this OpenCV has no cascades (5 and later).
        """
        self._size = detect_size
        data = getattr(getattr(cv2, "data", None), "haarcascades", "")
        path = Path(data) / "haarcascade_frontalface_default.xml"
        if not hasattr(cv2, "CascadeClassifier") or not path.is_file():
            raise FerError(
                f"--detector haar: OpenCV {cv2.__version__} has no face cascade; "
                'use --detector yunet, or pip install "opencv-python-headless<5"'
            )
        self._path = str(path)
        self._of_thread = threading.local()  # OpenCV's cascade is not safe to share

    def detect(self, image: np.ndarray) -> list[Detection]:
        """Returns the faces of uint8 [H, W, 3] RGB."""
        longer = max(image.shape[:2])
        side = longer if self._size == "full" else min(longer, self._size)
        small = cv2.cvtColor(scaled(image, Pass(side / longer)), cv2.COLOR_RGB2GRAY)
        to_x, to_y = image.shape[1] / small.shape[1], image.shape[0] / small.shape[0]
        if not hasattr(self._of_thread, "cascade"):
            self._of_thread.cascade = cv2.CascadeClassifier(self._path)
        boxes, counts = self._of_thread.cascade.detectMultiScale2(
            small, scaleFactor=1.1, minNeighbors=5
        )
        return [
            _from_haar(x * to_x, y * to_y, w * to_x, h * to_y, score=n / (n + 5))
            for (x, y, w, h), n in zip(boxes, np.ravel(counts), strict=True)
        ]


class WholeImage:
    """Treats every image as one face crop, framed like the training faces."""

    def detect(self, image: np.ndarray) -> list[Detection]:
        """Returns the whole image, uint8 [H, W, 3] RGB, as one face with score 1."""
        height, width = image.shape[:2]
        return [Detection(0.0, 0.0, float(width), float(height), score=1.0, is_crop=True)]


# YuNet's box relative to a Haar window of the same face, in window sides: medians over 276 photographs.
# The crop's framing is based on YuNet's box.
_HAAR_X, _HAAR_Y, _HAAR_WIDTH, _HAAR_HEIGHT = 0.015, -0.06, 0.965, 1.185


def _from_haar(x: float, y: float, width: float, height: float, *, score: float) -> Detection:
    return Detection(
        x + _HAAR_X * width,
        y + _HAAR_Y * height,
        _HAAR_WIDTH * width,
        _HAAR_HEIGHT * height,
        score=float(score),
    )


DETECTORS = ("yunet", "haar", "none")
_MIN_SIZE = 32


def check_detect_size(size: DetectSize) -> None:
    """Checks a value of `--detect-size`.

    Raises:
        FerError: it is below 32 pixels.
    """
    if size != "full" and size < _MIN_SIZE:
        raise FerError(f'--detect-size {size}: expected {_MIN_SIZE} or more, or "full"')


def make_detector(
    name: str,
    *,
    detect_size: DetectSize = DETECT_SIZE,
    score_threshold: float = SCORE_THRESHOLD,
) -> Detector:
    """Returns a detector.

    Args:
        name: one of `DETECTORS`.
        detect_size: the longer side in pixels of the largest copy of an image to search; "full"
            also searches the original resolution, for tiny faces.
        score_threshold: YuNet's faces with a lower score are dropped.

    Raises:
        FerError: an unknown name, a size below 32, a threshold outside 0 to 1, or missing weights.
    """
    if name not in DETECTORS:
        raise FerError(f"--detector {name}: unknown; expected one of {', '.join(DETECTORS)}")
    check_detect_size(detect_size)
    if not 0 < score_threshold <= 1:
        raise FerError(f"a score threshold of {score_threshold}: expected 0 to 1, usually 0.6")
    if name == "none":
        return WholeImage()
    if name == "haar":
        return HaarDetector(detect_size=detect_size)
    return YuNetDetector(detect_size=detect_size, score_threshold=score_threshold)
