"""Validates and converts images passed by callers; errors name the offending image."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import UInt8

from fer_jax.faces.preprocess import FACE_SIZE, grey_face

Images = np.ndarray | Sequence[np.ndarray]


def as_faces(images: Images) -> UInt8[np.ndarray, "faces 48 48"]:
    """Returns face crops as FER2013-sized images.

    Args:
        images: uint8 [N, H, W] grey or [N, H, W, C], or a sequence of [H, W] and [H, W, C] of any
            sizes; C is 1 (grey), 3 (RGB) or 4 (RGBA). N may be 0.

    Raises:
        TypeError: not arrays.
        ValueError: unsupported dtype or shape.
    """
    if isinstance(images, np.ndarray):
        _check_batch(images)
        if images.dtype == np.uint8 and images.shape[1:] == (FACE_SIZE, FACE_SIZE):
            return images
    elif isinstance(images, str | bytes) or not isinstance(images, Sequence):
        raise TypeError(f"images must be an array or a list of arrays, got {_kind(images)}")
    faces = np.empty((len(images), FACE_SIZE, FACE_SIZE), np.uint8)
    for k, image in enumerate(images):
        if not isinstance(image, np.ndarray):
            raise TypeError(f"images[{k}] must be a uint8 array, got {_kind(image)}")
        try:
            faces[k] = grey_face(image)
        except ValueError as error:
            raise ValueError(f"images[{k}]: {error}") from error
    return faces


def as_rgb(image: np.ndarray) -> UInt8[np.ndarray, "height width 3"]:
    """Returns one photograph as RGB.

    Args:
        image: uint8 [H, W] or [H, W, 1] grey, [H, W, 3] RGB or [H, W, 4] RGBA.

    Raises:
        TypeError: not an array.
        ValueError: unsupported dtype or shape.
    """
    if not isinstance(image, np.ndarray):
        raise TypeError(f"image must be a uint8 array, got {_kind(image)}")
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or 0 in image.shape:
        raise ValueError(
            f"image must be uint8 [H, W], [H, W, 3] or [H, W, 4], got {image.dtype} {image.shape}"
        )
    channels = 1 if image.ndim == 2 else image.shape[2]
    if channels not in (1, 3, 4):
        raise ValueError(f"image must have 1, 3 or 4 channels, got {image.shape}")
    if channels == 3:
        return image
    to_rgb = cv2.COLOR_GRAY2RGB if channels == 1 else cv2.COLOR_RGBA2RGB
    return np.asarray(cv2.cvtColor(image, to_rgb), np.uint8)


def _check_batch(images: np.ndarray) -> None:
    if images.dtype != np.uint8:
        raise ValueError(
            f"images must be uint8, grey levels 0 to 255, got {images.dtype} {images.shape}"
        )
    # Three or four columns are one image's colours, not a face.
    single = images.ndim == 2 or (images.ndim == 3 and images.shape[2] in (3, 4))
    if single or images.ndim not in (3, 4):
        hint = "; pass one image as [image]" if single else ""
        raise ValueError(f"images must be [N, H, W] or [N, H, W, 3], got {images.shape}{hint}")


def _kind(value: object) -> str:
    return type(value).__name__
