"""Decodes with Pillow what OpenCV does not read: AVIF, HEIC, JPEG 2000, PNM, BigTIFF and rarer formats.

The size comes from the parser that decodes, so that no file has two sizes. Call it in a decoder process:
Pillow's libraries are large.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import AvifImagePlugin, Image, ImageOps

from fer_jax.machine.confinement import is_confined
from fer_jax.media.image_errors import DAMAGED, BadImageError, TooManyPixelsError
from fer_jax.media.image_header import format_of, stranger

with contextlib.suppress(ImportError):  # the extra "heif"
    import pillow_heif  # pyright: ignore[reportMissingImports]

    pillow_heif.register_heif_opener(thumbnails=False)
    pillow_heif.options.DECODE_THREADS = 1

# They start other programs, need other libraries, or hold no image.
_LEFT_OUT = {"BUFR", "EPS", "FPX", "GRIB", "HDF5", "IPTC", "MIC", "MPEG", "WMF"}
# OpenCV reads them. A file that it refuses is damaged, and another decoder would hide that.
_OPENCV = {"BMP", "DIB", "GIF", "JPEG", "MPO", "PNG", "WEBP"}

if is_confined():  # a user's process keeps Pillow's own settings
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # images are decoded on every core already
    Image.MAX_IMAGE_PIXELS = None  # the limits are ours
Image.init()
_FORMATS = sorted(set(Image.OPEN) - _LEFT_OUT - _OPENCV)


def decode(data: bytes, *, max_pixels: int) -> np.ndarray:
    """Returns an image as uint8 [H, W, 3] RGB, turned as its file specifies; of several, the first.

    Raises:
        BadImageError: not an image, cut short, damaged, or over `max_pixels`.
    """
    try:
        image = opened(io.BytesIO(data), formats=_FORMATS, max_pixels=max_pixels)
    except Image.UnidentifiedImageError:
        if format_of(data) == "heic" and "HEIF" not in _FORMATS:
            raise BadImageError(
                'HEIC images need pillow-heif: pip install "fer_jax[heif]", or convert it to JPEG'
            ) from None
        raise BadImageError(stranger(data)) from None
    with image:
        return pixels(image)


def opened(file: Any, *, formats: list[str], max_pixels: int) -> Image.Image:
    """Opens an image without decoding it.

    Raises:
        BadImageError: its header is damaged, or claims more than `max_pixels`.
        PIL.UnidentifiedImageError: it has none of the `formats`.
    """
    try:
        image = Image.open(file, formats=formats)
    except (Image.UnidentifiedImageError, MemoryError):
        raise
    except Exception:  # noqa: BLE001  Pillow's readers raise errors of any kind
        raise BadImageError(DAMAGED) from None
    _check_size(image, max_pixels=max_pixels)
    return image


def count(image: Image.Image) -> int:
    """Returns how many frames or pages an image has.

    Raises:
        BadImageError: it is damaged.
    """
    with _damage(image):
        return int(getattr(image, "n_frames", 1))


def load(image: Image.Image) -> None:
    """Decodes the current frame, for what the image knows only then.

    Raises:
        BadImageError: it is damaged.
    """
    with _damage(image):
        image.load()


def seek(image: Image.Image, index: int, *, max_pixels: int) -> None:
    """Makes a frame the current one; `pixels` decodes it.

    Raises:
        BadImageError: it is damaged or has more than `max_pixels`.
    """
    with _damage(image):
        image.seek(index)
    _check_size(image, max_pixels=max_pixels)


def _check_size(image: Image.Image, *, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise TooManyPixelsError(
            f"the image claims {width} x {height} pixels, more than {max_pixels / 1e6:g} megapixels"
        )


def pixels(image: Image.Image) -> np.ndarray:
    """Decodes the current frame: uint8 [H, W, 3] RGB, upright by its EXIF orientation.

    AVIF and HEIC images are turned as their boxes specify, regardless of EXIF (ISO/IEC 23000-22).

    Raises:
        BadImageError: it is damaged.
    """
    with _damage(image):
        # The readers of both rewrite the EXIF orientation, so that it names only what is left to do.
        upright = ImageOps.exif_transpose(image)
        if upright.mode.startswith(("I", "F")):
            return np.repeat(_eight_bits(np.asarray(upright))[..., None], 3, axis=2)
        return np.asarray(upright.convert("RGB"))


@contextlib.contextmanager
def _damage(image: Image.Image) -> Iterator[None]:
    """Converts any error of Pillow's readers."""
    try:
        yield
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  they raise errors of any kind
        name = (image.format or "").lower()
        raise BadImageError(f"the {name} image is damaged or not supported") from None


def _eight_bits(values: np.ndarray) -> np.ndarray:
    """Scales grey values of 16 or 32 bits, whose range is the smallest usual one that holds them."""
    top = np.nanmax(values)
    if values.dtype == np.uint16:
        full = 65535.0
    else:
        full = next((limit for limit in (1.0, 255.0, 65535.0) if top <= limit), float(top))
    scaled = np.nan_to_num(values.astype(np.float32) * np.float32(255 / full))
    return scaled.clip(0, 255).round().astype(np.uint8)
