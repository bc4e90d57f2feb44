"""Rotates and flips images before analysis, to match how a camera is mounted."""

from __future__ import annotations

from typing import get_args

import cv2
import numpy as np

from server.settings import Rotation

ROTATIONS: tuple[Rotation, ...] = get_args(Rotation)

_CODES = {
    90: cv2.ROTATE_90_CLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_COUNTERCLOCKWISE,
}


def oriented(image: np.ndarray, *, rotate: Rotation, flip: bool) -> np.ndarray:
    """Returns an upright image: uint8 [H, W, 3], or [W, H, 3] after a quarter turn.

    Args:
        image: uint8 [H, W, 3]; returned unchanged if there is nothing to do.
        rotate: degrees clockwise.
        flip: swap left and right, after rotating.
    """
    if rotate:
        image = cv2.rotate(image, _CODES[rotate])
    return cv2.flip(image, 1) if flip else image
