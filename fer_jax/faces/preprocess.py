"""Preprocesses a face crop on the host: one grey image of FER2013's size.

`fer_jax.models.standardise` does the rest inside the compiled call, on whole batches. Augmentation runs
between the two, on uint8 faces.
"""

from __future__ import annotations

import cv2
import numpy as np

FACE_SIZE = 48  # pixels; the side of a FER2013 image


def grey_face(image: np.ndarray) -> np.ndarray:
    """Returns a face crop as one grey FER2013-sized image.

    Args:
        image: uint8 [H, W] grey, [H, W, 1] grey, [H, W, 3] RGB or [H, W, 4] RGBA; H, W >= 1 pixels.

    Returns:
        uint8 [48, 48]; luma by ITU-R BT.601. Shrinking averages pixel areas, enlarging is bicubic.

    Raises:
        ValueError: another dtype or shape.
    """
    if image.dtype != np.uint8:
        raise ValueError(f"a face must be uint8, got {image.dtype}")
    if image.ndim == 3 and image.shape[2] == 3:
        image = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    elif image.ndim == 3 and image.shape[2] == 4:
        image = cv2.cvtColor(image, cv2.COLOR_RGBA2GRAY)
    elif image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    if image.ndim != 2 or 0 in image.shape:
        raise ValueError(f"a face must be [H, W], [H, W, 3] or [H, W, 4], got {image.shape}")
    if image.shape == (FACE_SIZE, FACE_SIZE):
        return np.ascontiguousarray(image)
    shrinking = min(image.shape) >= FACE_SIZE
    interpolation = cv2.INTER_AREA if shrinking else cv2.INTER_CUBIC
    return cv2.resize(image, (FACE_SIZE, FACE_SIZE), interpolation=interpolation)
