"""A camera for machines without one: a photograph, moved, zoomed and relit as if filmed.

The face is that of Rear Admiral Grace Hopper, in the public domain; Matplotlib ships the image. An image
depends only on its frame number.
"""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import cv2
import numpy as np

from server.cameras.reader import SourceError
from server.cameras.wire import Order

_PHOTOGRAPH = Path("mpl-data", "sample_data", "grace_hopper.jpg")
# Where the camera looks on average, in pixels of the 512 x 600 photograph: the face fills half the
# height, and the view never reaches far over the photograph's border, where it is mirrored.
_MIDDLE = 258.0, 258.0
_HEIGHT = 335.0
_SWAY = 17.0  # a tenth of the face's height

_NOISES = 8
_NOISE = 3.0  # standard deviation, of 255: a webcam's in a lit room


class DemoReader:
    """Plays the moving photograph; see `Reader`."""

    live = False

    def __init__(self, order: Order) -> None:
        """Reads the photograph.

        Raises:
            SourceError: Matplotlib was installed without it.
        """
        cv2.setNumThreads(1)
        self.fps = order.fps
        self._size = order.width, order.height
        self._photograph = _photograph()
        random = np.random.default_rng(0)
        shape = _NOISES, order.height, order.width, 3
        # Positive and negative noise apart, so that bytes suffice.
        noise = np.rint(random.normal(0, _NOISE, shape)).astype(np.int8)
        self._brighter = np.maximum(noise, 0).astype(np.uint8)
        self._darker = np.maximum(-noise, 0).astype(np.uint8)
        ramp = np.linspace(0, 255, order.width, dtype=np.float32).astype(np.uint8)
        self._window = np.repeat(np.tile(ramp, (order.height, 1))[..., None], 3, axis=2)
        self._number = 0

    def grab(self) -> float:
        """Advances by one frame."""
        self._number += 1
        return self._number / self.fps

    def image(self) -> np.ndarray | None:
        """Returns the current image."""
        return self.at(self._number)

    def at(self, number: int) -> np.ndarray:
        """Returns frame `number`, uint8 [H, W, 3] RGB."""
        time_s = number / self.fps
        image = cv2.warpAffine(
            self._photograph,
            _view(time_s, *self._size),
            self._size,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT,
        )
        # A room gets lighter and darker, and light from a window on one side comes and goes.
        gain = 0.9 + 0.1 * math.sin(0.31 * time_s)
        window = 0.06 + 0.06 * math.sin(0.17 * time_s + 1.0)
        cv2.addWeighted(image, gain, self._window, window, 0.0, dst=image)
        noise = number * 5 % _NOISES
        cv2.add(image, self._brighter[noise], dst=image)
        cv2.subtract(image, self._darker[noise], dst=image)
        return np.asarray(image, np.uint8)

    def close(self) -> None:
        """Does nothing: there is nothing to free."""


def _view(time_s: float, width: int, height: int) -> np.ndarray:
    """Returns the affine map float64 [2, 3] from the image's pixels to the photograph's.

    Its periods have no common multiple, so that it never looks like a loop; a person before a webcam
    sways by about a tenth of a face within some seconds.
    """
    scale = _HEIGHT / height * (1 + 0.1 * math.sin(0.41 * time_s))
    angle = math.radians(5) * math.sin(0.53 * time_s + 0.7)
    x = _MIDDLE[0] + 1.1 * _SWAY * (math.sin(0.67 * time_s) + 0.4 * math.sin(1.9 * time_s))
    y = _MIDDLE[1] + _SWAY * (math.sin(0.47 * time_s + 2) + 0.3 * math.sin(1.7 * time_s))
    cosine, sine = scale * math.cos(angle), scale * math.sin(angle)
    return np.array(
        [
            [cosine, -sine, x - cosine * width / 2 + sine * height / 2],
            [sine, cosine, y - sine * width / 2 - cosine * height / 2],
        ]
    )


def _photograph() -> np.ndarray:
    """Returns uint8 [H, W, 3] RGB, without importing Matplotlib, which takes a second."""
    spec = importlib.util.find_spec("matplotlib")
    folders = spec.submodule_search_locations if spec else None
    for folder in folders or ():
        image = cv2.imread(str(Path(folder) / _PHOTOGRAPH), cv2.IMREAD_COLOR_RGB)
        if image is not None:
            return np.asarray(image, np.uint8)
    raise SourceError("missing", "Matplotlib's sample photograph is not installed")
