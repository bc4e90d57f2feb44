"""A camera for machines without one: a photograph, moved, zoomed and relit as if filmed.

It shows the smiling astronaut Eileen Collins if scikit-image, which ships her photograph, is installed;
otherwise Rear Admiral Grace Hopper, whose photograph Matplotlib ships. Both are in the public domain.
Each image depends only on its frame number.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from server.cameras.reader import SourceError
from server.cameras.wire import Order

_SWAY = 0.05  # of the view's height, about a tenth of the face's
_NOISES = 8
_NOISE = 3.0  # standard deviation, of 255: a webcam's in a lit room


class DemoPortrait(NamedTuple):
    """A photograph that an installed package ships.

    Attributes:
        package: its name.
        path: within the package.
        middle: x, y in pixels, where the camera looks on average.
        height: of the view in pixels, of which the face fills more than half; the view never reaches
            far over the photograph's border, where it is mirrored.
    """

    package: str
    path: str
    middle: tuple[float, float]
    height: float


PORTRAITS = (
    DemoPortrait("skimage", "data/astronaut.png", (228.0, 134.0), 180.0),
    DemoPortrait("matplotlib", "mpl-data/sample_data/grace_hopper.jpg", (258.0, 258.0), 335.0),
)


class DemoReader:
    """Plays the moving photograph; see `Reader`."""

    live = False

    def __init__(self, order: Order, portraits: Sequence[DemoPortrait] = PORTRAITS) -> None:
        """Reads the first of the portraits that is installed.

        Raises:
            SourceError: none is.
        """
        cv2.setNumThreads(1)
        self.fps = order.fps
        self._size = order.width, order.height
        self._portrait, self._photograph = _first_installed(portraits)
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
            _view(self._portrait, time_s, *self._size),
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


def _view(portrait: DemoPortrait, time_s: float, width: int, height: int) -> np.ndarray:
    """Returns the affine map float64 [2, 3] from the image's pixels to the photograph's.

    Its periods have no common multiple, so that it never looks like a loop; a person before a webcam
    sways by about a tenth of a face within some seconds.
    """
    (middle_x, middle_y), sway = portrait.middle, _SWAY * portrait.height
    scale = portrait.height / height * (1 + 0.1 * math.sin(0.41 * time_s))
    angle = math.radians(5) * math.sin(0.53 * time_s + 0.7)
    x = middle_x + 1.1 * sway * (math.sin(0.67 * time_s) + 0.4 * math.sin(1.9 * time_s))
    y = middle_y + sway * (math.sin(0.47 * time_s + 2) + 0.3 * math.sin(1.7 * time_s))
    cosine, sine = scale * math.cos(angle), scale * math.sin(angle)
    return np.array(
        [
            [cosine, -sine, x - cosine * width / 2 + sine * height / 2],
            [sine, cosine, y - sine * width / 2 - cosine * height / 2],
        ]
    )


def _first_installed(portraits: Sequence[DemoPortrait]) -> tuple[DemoPortrait, np.ndarray]:
    """Returns a portrait and its image, uint8 [H, W, 3] RGB, without the seconds of an import."""
    for portrait in portraits:
        spec = importlib.util.find_spec(portrait.package)
        for folder in (spec and spec.submodule_search_locations) or ():
            image = cv2.imread(str(Path(folder) / portrait.path), cv2.IMREAD_COLOR_RGB)
            if image is not None:
                return portrait, np.asarray(image, np.uint8)
    raise SourceError("missing", "no installed package ships a sample portrait")
