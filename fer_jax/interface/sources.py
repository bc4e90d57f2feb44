"""Turns any form of photograph that a caller may have into RGB pixels."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from fer_jax.errors import FerError
from fer_jax.inference.crops import as_rgb
from fer_jax.media.image_errors import BadImageError
from fer_jax.media.images import decode_image, read_image


def as_photograph(source: Any, *, bgr: bool = False) -> np.ndarray:
    """Returns a photograph as uint8 [H, W, 3] RGB, upright by its EXIF orientation.

    Args:
        source: a path, the bytes of an image file, a PIL image, or uint8 [H, W], [H, W, 3] RGB or
            [H, W, 4] RGBA.
        bgr: an array's channels are in OpenCV's order, BGR or BGRA.

    Raises:
        FerError: a file or bytes that cannot be read as an image.
        TypeError: none of these.
        ValueError: an array of another dtype or shape, or `bgr` with what is not an array.
    """
    if bgr and not isinstance(source, np.ndarray):
        raise ValueError(f"bgr=True is for arrays, got {type(source).__name__}")
    if isinstance(source, np.ndarray):
        image = as_rgb(source)
        coloured = source.ndim == 3 and source.shape[2] > 1
        return np.ascontiguousarray(image[..., ::-1]) if bgr and coloured else image
    if isinstance(source, bytes | bytearray | memoryview):
        try:
            return decode_image(bytes(source))
        except BadImageError as error:
            raise FerError(f"the bytes of an image: {error}") from None
    if isinstance(source, str | os.PathLike):
        return read_image(Path(source).expanduser())
    if type(source).__module__.partition(".")[0] == "PIL" or hasattr(source, "getexif"):
        from PIL import ImageOps  # only there if the caller has it

        return np.array(ImageOps.exif_transpose(source).convert("RGB"))
    raise TypeError(
        "expected a path, bytes of an image file, a PIL image or a uint8 array, got "
        f"{type(source).__name__}"
    )
