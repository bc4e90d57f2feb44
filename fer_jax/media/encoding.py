"""RGB images as JPEG files."""

from __future__ import annotations

import cv2
import numpy as np


def jpeg(image: np.ndarray, *, quality: int) -> bytes:
    """Returns uint8 [H, W, 3] RGB as a JPEG file.

    Args:
        image: up to 65,500 pixels a side.
        quality: 1 to 100.

    Raises:
        ValueError: the image is larger.
    """
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    encoded, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not encoded:
        raise ValueError(f"an image of shape {image.shape} cannot be a JPEG")
    return data.tobytes()
