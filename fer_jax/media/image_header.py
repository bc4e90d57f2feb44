"""Checks an image's bytes before any pixel is decoded: format, size, and completeness.

Decoders fill the missing part of a truncated JPEG with grey and report success, and a hundred bytes can
request gigabytes of pixels. Walking the container detects both, in time linear in its bytes.
A decoder parses the same bytes again and may disagree with this parser. So ambiguous files are refused,
and data that no pixel needs is not passed on.
"""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

from fer_jax.media.image_containers import CONTAINERS
from fer_jax.media.image_errors import TRUNCATED, BadImageError
from fer_jax.media.raw_images import RAW, is_raw

FORMATS = "JPEG, PNG, GIF, BMP, WebP, TIFF, AVIF, HEIC, JPEG 2000, PNM and rarer ones"


class ImageHeader(NamedTuple):
    """`format` is a lower-case name of `FORMATS`; `width` and `height` are those claimed, in pixels."""

    format: str
    width: int
    height: int


def format_of(data: bytes) -> str | None:
    """Returns the image format of a file's first 64 bytes, None if it is not a usual one."""
    for name, container in CONTAINERS.items():
        if container.signature.match(data):
            return name
    return next((name for name, signature in _OTHERS.items() if signature.match(data)), None)


def is_usual(name: str | None) -> bool:
    """Returns whether `read_header` and `check_whole` know a format; Pillow reads the others."""
    return name in CONTAINERS


def read_header(data: bytes) -> ImageHeader:
    """Returns what the header claims; bytes after the header are not needed.

    Raises:
        BadImageError: not an image of `FORMATS`, or a truncated or invalid header.
    """
    name = format_of(data)
    if name is None or name not in CONTAINERS:
        raise BadImageError(stranger(data))
    try:
        width, height = CONTAINERS[name].size(data)
    except (struct.error, IndexError):
        raise BadImageError(TRUNCATED) from None
    if width < 1 or height < 1:
        raise BadImageError(f"the image claims {width} x {height} pixels")
    return ImageHeader(name, width, height)


def check_whole(data: bytes, header: ImageHeader) -> bytes:
    """Checks that the file reaches the end of its image; bytes after that end are allowed.

    Returns:
        The bytes for the decoder: a PNG without text, profiles and animation, others unchanged.

    Raises:
        BadImageError: cut short, or damaged if the format has checksums.
    """
    try:
        return CONTAINERS[header.format].whole(data)
    except (struct.error, IndexError):
        raise BadImageError(TRUNCATED) from None


def stranger(data: bytes) -> str:
    """Returns why bytes of no known format are not an image."""
    if not data:
        return "the file is empty"
    if not data.strip(b"\0"):
        return "the file contains only zeros"
    if is_raw(data):
        return RAW
    if (name := format_of(data)) is not None:
        return f"the {name} image is damaged or not supported"
    return f"the file is not an image that can be read; {FORMATS} are supported"


# Pillow finds their size; code that only OpenCV uses for them is small.
_OTHERS = {
    "avif": re.compile(rb"....ftypavi[fs]", re.DOTALL),
    "heic": re.compile(rb"....ftyp(hei|hev|mif|msf)", re.DOTALL),
    "bigtiff": re.compile(rb"II\+\0|MM\0\+"),
    "jpeg2000": re.compile(rb"\0\0\0\x0cjP  \r\n|\xff\x4f\xff\x51\0"),
    "pnm": re.compile(rb"P([1-6]|f)\s+[\d#]"),
    "psd": re.compile(rb"8BPS\x00\x01"),
    "qoi": re.compile(rb"qoif"),
    "pam": re.compile(rb"P7\s"),
    "pfm": re.compile(rb"PF\s+\d"),
    "hdr": re.compile(rb"#\?(RADIANCE|RGBE)"),
}
