"""The containers that we walk ourselves: signature, size and completeness of each image format."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable
from typing import NamedTuple

from fer_jax.media.image_errors import DAMAGED, TRUNCATED, BadImageError
from fer_jax.media.jpeg_segments import jpeg_size, jpeg_whole
from fer_jax.media.raw_images import tiff_entries


class Container(NamedTuple):
    """How a format's files are recognised and walked.

    `size` and `whole` raise `BadImageError` for a damaged container, and struct.error or IndexError
    where the bytes end before an expected field.

    Attributes:
        signature: matches the first bytes of its files.
        size: returns the width and height that the header claims, in pixels.
        whole: returns the bytes for the decoder, if the file reaches the end of its image.
    """

    signature: re.Pattern[bytes]
    size: Callable[[bytes], tuple[int, int]]
    whole: Callable[[bytes], bytes]


# All a still image needs. Text can be a decompression bomb; animation chunks have crashed decoders.
_PNG_NEEDED = frozenset({b"IHDR", b"PLTE", b"tRNS", b"gAMA", b"sRGB", b"eXIf", b"IDAT", b"IEND"})


def _png_size(data: bytes) -> tuple[int, int]:
    length, kind, width, height = struct.unpack_from(">I4sII", data, 8)
    if (length, kind) != (13, b"IHDR"):
        raise BadImageError(DAMAGED)
    return width, height


def _png_whole(data: bytes) -> bytes:
    view = memoryview(data)
    kept = [view[:8]]
    seen: set[bytes] = set()
    at, kind = 8, b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            raise BadImageError(TRUNCATED)
        if kind in _PNG_NEEDED:
            (checksum,) = struct.unpack_from(">I", data, end - 4)
            if zlib.crc32(view[at + 4 : end - 4]) != checksum or (kind in seen and kind != b"IDAT"):
                raise BadImageError(DAMAGED)
            seen.add(kind)
            kept.append(view[at:end])
        at = end
    return b"".join(kept)


def _gif_size(data: bytes) -> tuple[int, int]:
    return struct.unpack_from("<HH", data, 6)


def _gif_whole(data: bytes) -> bytes:
    """Walks the blocks to the end of the first frame, the only one used."""
    at = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    while True:
        block = data[at]
        if block == 0x2C:  # a frame: its descriptor, colours, code size and data
            colours = data[at + 9]
            _gif_blocks(data, at + 11 + (3 << (colours & 7) + 1 if colours & 0x80 else 0))
            return data
        if block != 0x21:
            raise BadImageError(DAMAGED)
        at = _gif_blocks(data, at + 2)


def _gif_blocks(data: bytes, at: int) -> int:
    while data[at]:
        at += 1 + data[at]
    return at + 1


def _bmp_size(data: bytes) -> tuple[int, int]:
    (header,) = struct.unpack_from("<I", data, 14)
    if header == 12:  # the OS/2 header uses 16 bits
        return struct.unpack_from("<HH", data, 18)
    width, height = struct.unpack_from("<ii", data, 18)
    return abs(width), abs(height)  # a negative height means rows from top to bottom


def _bmp_whole(data: bytes) -> bytes:
    (start,) = struct.unpack_from("<I", data, 10)
    width, height = _bmp_size(data)
    if struct.unpack_from("<I", data, 14)[0] == 12:
        bits, compression = struct.unpack_from("<H", data, 24)[0], 0
    else:
        bits, compression = struct.unpack_from("<HI", data, 28)
    packed = compression in (1, 2)  # run-length coded: only the decoder knows the size
    if len(data) < start + (0 if packed else (width * bits + 31) // 32 * 4 * height):
        raise BadImageError(TRUNCATED)
    return data


def _webp_size(data: bytes) -> tuple[int, int]:
    kind = data[12:16]
    if kind == b"VP8X":
        wide, high = struct.unpack_from("<I", data, 24)[0], struct.unpack_from("<I", data, 26)[0]
        return (wide & 0xFFFFFF) + 1, (high >> 8) + 1
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind != b"VP8 ":  # libwebp also accepts a stream without a chunk header
        raise BadImageError(DAMAGED)
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF


def _webp_whole(data: bytes) -> bytes:
    (length,) = struct.unpack_from("<I", data, 4)
    if len(data) < 8 + length:
        raise BadImageError(TRUNCATED)
    return data


_TIFF_WIDTH, _TIFF_HEIGHT = 256, 257
_TIFF_NUMBERS = {3: "H", 4: "I"}  # the types that a size may have: SHORT and LONG


def _tiff_size(data: bytes) -> tuple[int, int]:
    size: dict[int, int] = {}
    seen: set[int] = set()
    for order, tag, kind, count, at in tiff_entries(data):
        if tag in seen:  # which of the two counts depends on the reader
            raise BadImageError(DAMAGED)
        seen.add(tag)
        if tag not in (_TIFF_WIDTH, _TIFF_HEIGHT):
            continue
        if kind not in _TIFF_NUMBERS or count != 1:
            raise BadImageError(DAMAGED)
        (size[tag],) = struct.unpack_from(f"{order}{_TIFF_NUMBERS[kind]}", data, at)
    return size.get(_TIFF_WIDTH, 0), size.get(_TIFF_HEIGHT, 0)


def _tiff_whole(data: bytes) -> bytes:
    """The strips are left to the decoder, which refuses missing ones."""
    return data


CONTAINERS = {
    "jpeg": Container(re.compile(rb"\xff\xd8"), jpeg_size, jpeg_whole),
    "png": Container(re.compile(rb"\x89PNG\r\n\x1a\n"), _png_size, _png_whole),
    "gif": Container(re.compile(rb"GIF8[79]a"), _gif_size, _gif_whole),
    "bmp": Container(
        re.compile(rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0", re.DOTALL),
        _bmp_size,
        _bmp_whole,
    ),
    "webp": Container(re.compile(rb"RIFF....WEBP", re.DOTALL), _webp_size, _webp_whole),
    "tiff": Container(re.compile(rb"II\*\0|MM\0\*"), _tiff_size, _tiff_whole),
}
