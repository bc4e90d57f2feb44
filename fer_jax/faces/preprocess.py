"""Face crop -> network input, once, for training, scoring and serving.

The path has two halves because they run in two places: `grey_face` on the host, where pictures have
any size and colour, and `standardise` inside the compiled network call, where everything is a batch.
`network_input` is the two in a row. Training's augmentation acts between them, on uint8 faces.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import jax
import jax.numpy as jnp
import numpy as np

FACE_SIZE = 48  # pixels; the side of a FER2013 picture

# A blank face has no contrast to divide by; one grey level is below any photograph's noise.
_MIN_STD = 1.0


def grey_face(image: np.ndarray) -> np.ndarray:
    """Returns a face crop as one grey FER2013-sized picture.

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


def standardise(faces: jax.Array | np.ndarray) -> jax.Array:
    """Returns each face with its own mean removed and its own standard deviation divided out.

    Args:
        faces: uint8 or float [B, H, W], grey levels 0 to 255.

    Returns:
        float32 [B, H, W, 1]; a constant face becomes all zeros.
    """
    pixels = jnp.asarray(faces, jnp.float32)
    centred = pixels - jnp.mean(pixels, axis=(1, 2), keepdims=True)
    std = jnp.sqrt(jnp.mean(jnp.square(centred), axis=(1, 2), keepdims=True))
    return (centred / jnp.maximum(std, _MIN_STD))[..., None]


def network_input(images: Sequence[np.ndarray]) -> jax.Array:
    """Returns face crops of any size and colour as the network's input, float32 [B, 48, 48, 1]."""
    return standardise(jnp.asarray(np.stack([grey_face(image) for image in images])))
