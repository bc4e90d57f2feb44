"""Whether a face crop shows enough to be read: light, contrast, real pixels, sharpness, what is in view.

The limits were measured, not chosen by eye: `python benchmarks/measure_quality.py --data FER2013` prints
how often the network agrees with people at each level, and how many plain faces each limit costs.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, get_args

import cv2
import numpy as np

from fer_jax.faces.crop import square_of
from fer_jax.faces.detect import Detection

Quality = Literal["ok", "dark", "flat", "small", "blurred", "cut"]
QUALITIES: tuple[Quality, ...] = get_args(Quality)

# Below these, answers agree with people less often than uncertain answers about plain faces do (57 %).
LEAST_LIGHT = 12.0  # grey levels
LEAST_CONTRAST = 5.0  # grey levels
LEAST_SIDE = 9.0  # pixels
LEAST_SHARPNESS = 0.02
LEAST_IN_VIEW = 0.45

# Variance that rounding to whole grey levels leaves in the detail: 1/12, a quarter of it in the blur.
_ROUNDING = 0.75 / 12

_AT = (np.arange(8) + 0.5) / 8
_GRID = np.stack(np.meshgrid(_AT, _AT), axis=-1).reshape(-1, 2)  # points of a crop, 0 to 1


class Measures(NamedTuple):
    """What is measured of a face.

    Attributes:
        light: mean grey level of the crop, 0 to 255.
        contrast: standard deviation of its grey levels.
        sharpness: what a blur of 1 pixel takes away, as a share of the contrast.
        side: side of the crop in the image's own pixels, before it was resized.
        in_view: share of the crop that is inside the image.
    """

    light: float
    contrast: float
    sharpness: float
    side: float
    in_view: float


def measure(crop: np.ndarray, *, side: float, in_view: float = 1.0) -> Measures:
    """Returns what is measured of a face crop, uint8 [48, 48] grey."""
    (light,), (contrast,) = (value.ravel() for value in cv2.meanStdDev(crop))
    detail = crop.astype(np.float32)
    detail -= cv2.GaussianBlur(detail, (5, 5), 1.0, borderType=cv2.BORDER_REFLECT_101)
    lost = math.sqrt(max(0.0, float(cv2.meanStdDev(detail)[1][0, 0]) ** 2 - _ROUNDING))
    return Measures(float(light), float(contrast), lost / max(float(contrast), 1.0), side, in_view)


def judge(measures: Measures) -> Quality:
    """Returns the first reason not to read a face, or "ok"."""
    if measures.in_view < LEAST_IN_VIEW:
        return "cut"
    if measures.side < LEAST_SIDE:
        return "small"
    if measures.light < LEAST_LIGHT:
        return "dark"
    if measures.contrast < LEAST_CONTRAST:
        return "flat"
    return "blurred" if measures.sharpness < LEAST_SHARPNESS else "ok"


def face_quality(crop: np.ndarray, detection: Detection, *, width: int, height: int) -> Quality:
    """Returns whether one face of an image can be read.

    Args:
        crop: uint8 [48, 48] grey, as `crop.grey_crop` cuts it.
        detection: where the face is.
        width, height: of the image, in pixels.
    """
    if detection.is_crop:
        return judge(measure(crop, side=min(detection.width, detection.height)))
    square = square_of(detection)
    x, y = square.to_image(_GRID).T
    seen = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    return judge(measure(crop, side=square.side, in_view=float(seen.mean())))
