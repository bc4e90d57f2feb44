"""How a camera is mounted: its images are turned and flipped before they are analysed."""

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
    """Returns an image the right way up: uint8 [H, W, 3], or [W, H, 3] after a quarter turn.

    Args:
        image: uint8 [H, W, 3]; returned as it is when there is nothing to do.
        rotate: degrees clockwise.
        flip: exchange left and right, after rotating.
    """
    if rotate:
        image = cv2.rotate(image, _CODES[rotate])
    return cv2.flip(image, 1) if flip else image
