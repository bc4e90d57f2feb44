"""Reads untrusted photographs: bounded in memory and time, with a reason for each refusal.

`read_image` takes a path, `decode_image` bytes. Both check the header first, so that no file can request
more pixels than allowed and truncated images are not used.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO, NamedTuple

import cv2
import numpy as np

from fer_jax.errors import FerError
from fer_jax.machine.terminal import printable
from fer_jax.media.image_errors import BadImageError, TooManyPixelsError
from fer_jax.media.image_header import ImageHeader, check_whole, format_of, is_usual, read_header
from fer_jax.media.jpeg_segments import jpeg_without_end
from fer_jax.media.raw_images import RAW, RAW_SUFFIXES, is_raw

MAX_PIXELS = 100_000_000  # an image of a 100-megapixel camera; 300 MB of memory while open

# The file may hold more than the pixels (16 bits, several pages, maker notes), within reason.
_BYTES_PER_PIXEL = 8
_MIN_FILE_LIMIT = 64 << 20

_JPEG_ENDS = tuple(filler + b"\xff\xd9" for filler in (b"", b"\x55" * 64, b"\xaa" * 64))

# Without a writer, opening a pipe would block; Windows would translate line ends.
_OPEN_FLAGS = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)

# Errors are reported as exceptions; the libraries' lines on standard error would only break a progress
# bar. FFmpeg's level is read once, at the first video. libjpeg and libpng write warnings about damaged
# pixels to file descriptor 2, which cannot be turned off from here.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


class MediaError(FerError):
    """An image or video that cannot be read.

    Attributes:
        path: the file, as it was named.
        reason: one line without the file's name.
    """

    def __init__(self, path: Path, reason: str):
        super().__init__(f"{printable(path)}: {reason}")
        self.path = path
        self.reason = reason


def read_image(path: Path, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Returns a photograph as uint8 [H, W, 3] RGB, upright by its EXIF orientation.

    Grey, palette, RGBA (alpha is dropped), CMYK and 16-bit images become 8-bit RGB; of an
    animation or several pages, the first is used.

    Args:
        path: any name the system allows, even if it is not UTF-8.
        max_pixels: the most that width x height of the header may claim.

    Raises:
        MediaError: missing, unreadable, not a regular file, empty, not an image, cut short, too large.
    """
    data = read_file(path, most=most_file_bytes(max_pixels))
    try:
        return decode_image(data, max_pixels=max_pixels)
    except BadImageError as error:
        raise MediaError(path, str(error)) from None


def most_file_bytes(max_pixels: int) -> int:
    """Returns the largest allowed size of an image file, in bytes."""
    return max(_MIN_FILE_LIMIT, _BYTES_PER_PIXEL * max_pixels)


def read_file(path: Path, *, most: int) -> bytes:
    """Returns the bytes of a regular file of up to `most` bytes.

    Raises:
        MediaError: missing, unreadable, not a regular file, or larger.
    """
    with open_regular(path) as file:
        if os.fstat(file.fileno()).st_size > most:
            raise MediaError(path, f"the file is larger than {most >> 20} MiB")
        try:
            data = file.read(most)
        except OSError as error:
            raise MediaError(path, _system_reason(error)) from error
    # Some cameras' files look like a TIFF that holds only the thumbnail.
    if path.suffix.lower() in RAW_SUFFIXES and format_of(data) in (None, "tiff"):
        raise MediaError(path, RAW)
    return data


def decode_image(data: bytes, *, max_pixels: int = MAX_PIXELS, grey: bool = False) -> np.ndarray:
    """Returns the bytes of an image file as uint8 [H, W, 3] RGB; see `read_image`.

    It decodes in this process, which a fault of the decoder may crash. For untrusted bytes use a
    `fer_jax.media.decoder.Decoder`.

    Args:
        data: the whole file.
        max_pixels: the most that width x height of the header may claim.
        grey: return only the luma, uint8 [H, W].

    Raises:
        BadImageError: not an image, cut short, damaged or over `max_pixels`; without a file name.
    """
    return decode_noted(data, max_pixels=max_pixels, grey=grey).image


class Decoded(NamedTuple):
    """An image, uint8 [H, W, 3] RGB or [H, W] grey, and what was wrong with its file, if anything."""

    image: np.ndarray
    note: str = ""


def decode_noted(data: bytes, *, max_pixels: int, grey: bool) -> Decoded:
    """Decodes as `decode_image` does, with a note on a file that is damaged but complete."""
    if is_raw(data):
        raise BadImageError(RAW)
    if not is_usual(name := format_of(data)):
        return Decoded(_decode_other(data, name, max_pixels=max_pixels, grey=grey))
    header = read_header(data)
    claimed = header.width * header.height
    if claimed > max_pixels:
        raise TooManyPixelsError(
            f"the image claims {header.width} x {header.height} pixels, "
            f"more than {max_pixels / 1e6:g} megapixels"
        )
    endless = jpeg_without_end(data) if header.format == "jpeg" else None
    if endless is None:
        return Decoded(_decode(check_whole(data, header), header, grey=grey))
    # A decoder fills a truncated scan from the bytes that follow. Nothing is missing if different
    # bytes give the same pixels.
    image, *others = (_decode(endless + end, header, grey=grey) for end in _JPEG_ENDS)
    if not all(np.array_equal(image, other) for other in others):
        check_whole(data, header)
    return Decoded(image, "the JPEG lacks its end marker; all its pixels are there")


def _decode_other(data: bytes, name: str | None, *, max_pixels: int, grey: bool) -> np.ndarray:
    """Decodes a format whose header we do not parse ourselves."""
    if name == "pam":
        # OpenCV checks the size itself, against $OPENCV_IO_MAX_IMAGE_PIXELS of its process.
        return _decode(data, ImageHeader(name, max_pixels, 1), grey=grey)
    if name in ("hdr", "pfm"):
        return _decode(
            data, ImageHeader(name, max_pixels, 1), grey=grey, floats=cv2.IMREAD_ANYDEPTH
        )
    from fer_jax.media import pillow_images  # slow to load, and rarely needed

    image = pillow_images.decode(data, max_pixels=max_pixels)
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if grey else image


def _decode(needed: bytes, header: ImageHeader, *, grey: bool, floats: int = 0) -> np.ndarray:
    try:
        mode = cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_COLOR_RGB
        image = cv2.imdecode(np.frombuffer(needed, np.uint8), mode | floats)
    except cv2.error:
        image = None
    if image is None or image.shape[0] * image.shape[1] > header.width * header.height:
        raise BadImageError(f"the {header.format} image is damaged or not supported")
    if image.dtype == np.float32:  # light from 0 to 1, or brighter
        image = (np.nan_to_num(image) * 255).clip(0, 255)
    return np.asarray(image, np.uint8)


def open_regular(path: Path) -> BinaryIO:
    """Opens a regular file for reading; a pipe or device could be endless.

    Raises:
        MediaError: missing, not permitted, a folder, a pipe, a device.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | _OPEN_FLAGS)
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise MediaError(path, _system_reason(error)) from error
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        what = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
        raise MediaError(path, f"it is {what}; an image or a video is expected")
    return os.fdopen(descriptor, "rb")


def _system_reason(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, PermissionError):
        return "permission denied"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[0].lower() + error.strerror[1:]
    return "the name cannot be used as a file name"
