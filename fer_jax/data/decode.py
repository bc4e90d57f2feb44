"""Bytes of one picture file -> grey pixels, refusing what would only half decode.

Decoders fill the missing part of a cut JPEG with grey and call it a success, and a few bytes of
header can ask for gigabytes of pixels; so the container is checked before any pixel is decoded.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

import cv2
import numpy as np

MAX_PIXELS = 25_000_000  # the largest picture any part of this project decodes
MAX_FILE_BYTES = 64 << 20

_TRUNCATED = "the picture is cut short (its file ends too early)"
_DAMAGED = "the picture is damaged"


class UndecodableImageError(ValueError):
    """A picture that can not be used; the message says why, without the file's name."""


def decode_grey(data: bytes) -> np.ndarray:
    """Returns a jpg, png, bmp or webp picture as uint8 [H, W], turned as its EXIF data asks.

    Raises:
        UndecodableImageError: not such a picture, cut short, damaged, or over 25 megapixels.
    """
    if len(data) > MAX_FILE_BYTES:
        raise UndecodableImageError(f"the file is larger than {MAX_FILE_BYTES >> 20} MiB")
    try:
        width, height = _checker(data)(data)
    except (struct.error, IndexError):
        raise UndecodableImageError(_TRUNCATED) from None
    if width * height > MAX_PIXELS:
        limit = MAX_PIXELS // 1_000_000
        raise UndecodableImageError(
            f"the picture claims {width} x {height} pixels, more than {limit} megapixels"
        )
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    except cv2.error:
        image = None
    if image is None:
        raise UndecodableImageError(_DAMAGED)
    return np.asarray(image, np.uint8)


def _checker(data: bytes) -> Callable[[bytes], tuple[int, int]]:
    """Returns the function that checks this container and reads (width, height) in pixels."""
    if data[:2] == b"\xff\xd8":
        return _check_jpeg
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return _check_png
    if data[:2] == b"BM":
        return _check_bmp
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _check_webp
    if not data.strip(b"\0"):
        raise UndecodableImageError("the file is empty")
    raise UndecodableImageError("the file is not a jpg, png, bmp or webp picture")


def _check_jpeg(data: bytes) -> tuple[int, int]:
    """Walks the segments of a JPEG (ITU-T T.81, B.1) up to its first scan, then wants the end.

    In a scan 0xFF is followed by a stuffed zero, so that FF D9 there is the end marker and no
    other; a thumbnail's own FF D9 lies in a segment before the scan. Bytes after the end are fine.
    """
    size = None
    at = 2
    while True:
        while data[at] == 0xFF and data[at + 1] == 0xFF:  # fill bytes
            at += 1
        if data[at] != 0xFF:
            raise UndecodableImageError(_DAMAGED)
        marker = data[at + 1]
        (length,) = struct.unpack_from(">H", data, at + 2)
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, at + 5)
            size = width, height
        at += 2 + length
        if marker == 0xDA:
            break
    if size is None:
        raise UndecodableImageError(_DAMAGED)
    if data.find(b"\xff\xd9", at) < 0:
        raise UndecodableImageError(_TRUNCATED)
    return size


def _check_png(data: bytes) -> tuple[int, int]:
    """Walks the chunks of a PNG to its IEND, comparing each checksum."""
    size = struct.unpack_from(">II", data, 16)
    at, kind = 8, b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, at)
        (checksum,) = struct.unpack_from(">I", data, at + 8 + length)
        if zlib.crc32(data[at + 4 : at + 8 + length]) != checksum:
            raise UndecodableImageError(_DAMAGED)
        at += 12 + length
    return size


def _check_bmp(data: bytes) -> tuple[int, int]:
    (header,) = struct.unpack_from("<I", data, 14)
    if header == 12:  # the OS/2 header counts in 16 bits
        return struct.unpack_from("<HH", data, 18)
    width, height = struct.unpack_from("<ii", data, 18)
    return abs(width), abs(height)  # a negative height is a picture stored from the top


def _check_webp(data: bytes) -> tuple[int, int]:
    (length,) = struct.unpack_from("<I", data, 4)
    if len(data) < 8 + length:
        raise UndecodableImageError(_TRUNCATED)
    kind = data[12:16]
    if kind == b"VP8X":
        width = int.from_bytes(data[24:27], "little") + 1
        return width, int.from_bytes(data[27:30], "little") + 1
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF
