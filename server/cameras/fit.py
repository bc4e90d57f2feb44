"""Scales images of any camera to a size that can be copied and encoded thirty times a second."""

from __future__ import annotations

import cv2
import numpy as np

# Pixels. A 4K frame is 25 MB, and neither detector nor page uses more than this.
MAX_SIDE = 1920


def fit(image: np.ndarray) -> np.ndarray:
    """Returns uint8 [H, W, 3] with neither side over `MAX_SIDE`; a smaller image unchanged."""
    height, width = image.shape[:2]
    if max(height, width) <= MAX_SIDE:
        return image
    scale = MAX_SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def retrieved(capture: cv2.VideoCapture) -> np.ndarray | None:
    """Returns a capture's grabbed image, fitted, uint8 [H, W, 3] RGB; None for a damaged one."""
    whole, image = capture.retrieve()
    if not whole:
        return None
    return fit(np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8))
