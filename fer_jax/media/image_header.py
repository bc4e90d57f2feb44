"""Checks an image's bytes before any pixel is decoded: format, size, and completeness.

Decoders fill the missing part of a truncated JPEG with grey and report success, and a hundred bytes can
request gigabytes of pixels. Walking the container detects both, in time linear in its bytes.
A decoder parses the same bytes again and may disagree with this parser. So ambiguous files are refused,
and data that no pixel needs is not passed on.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable
from typing import NamedTuple

from fer_jax.media.raw_images import RAW, is_raw, tiff_entries

FORMATS = "JPEG, PNG, GIF, BMP, WebP, TIFF, AVIF, HEIC, JPEG 2000, PNM and rarer ones"

_TRUNCATED = "the image is cut short (its file ends too early)"
DAMAGED = "the image is damaged"
_LOST = b"\0" * 16  # what a disk or a download leaves instead of lost data


class ImageHeader(NamedTuple):
    """`format` is a lower-case name of `FORMATS`; `width` and `height` are those claimed, in pixels."""

    format: str
    width: int
    height: int


class BadImageError(ValueError):
    """Bytes that are not a usable image; the message says why, without the file's name."""


class TooManyPixelsError(BadImageError):
    """An image whose header claims more pixels than are allowed."""


class DecoderFailedError(BadImageError):
    """An image on which the decoder crashed, took too long or needed too much memory."""


def format_of(data: bytes) -> str | None:
    """Returns the image format of a file's first 64 bytes, None if it is not a usual one."""
    for name, (signature, _, _) in _FORMATS.items():
        if signature.match(data):
            return name
    return next((name for name, signature in _OTHERS.items() if signature.match(data)), None)


def is_usual(name: str | None) -> bool:
    """Returns whether `read_header` and `check_whole` know a format; Pillow reads the others."""
    return name in _FORMATS


def read_header(data: bytes) -> ImageHeader:
    """Returns what the header claims; bytes after the header are not needed.

    Raises:
        BadImageError: not an image of `FORMATS`, or a truncated or invalid header.
    """
    name = format_of(data)
    if name is None or name not in _FORMATS:
        raise BadImageError(stranger(data))
    try:
        width, height = _FORMATS[name][1](data)
    except (struct.error, IndexError):
        raise BadImageError(_TRUNCATED) from None
    if width < 1 or height < 1:
        raise BadImageError(f"the image claims {width} x {height} pixels")
    return ImageHeader(name, width, height)


def jpeg_without_end(data: bytes) -> bytes | None:
    """Returns the bytes of a JPEG that may lack nothing but its end marker, else None.

    Only for sequential images with one scan: in others, whole scans may be missing unnoticed. Only the
    pixels show whether the scan, or its last restart interval, is complete.
    """
    at, frame, contents, marker, interval = 2, 0, 0, 0, 0
    if data.endswith(_LOST):
        return None
    try:
        while marker != _JPEG_SOS:
            marker, contents, at = _jpeg_segment(data, at)
            if 0xC0 <= marker <= 0xCF and marker not in _JPEG_NO_FRAME:
                frame = contents if marker in _JPEG_SEQUENTIAL else 0
            elif marker == _JPEG_RESTARTS:
                (interval,) = struct.unpack_from(">H", data, contents)
            elif marker == _JPEG_EOI:
                return None
        if not frame or data[contents] != data[frame + 5] or _JPEG_SCAN_END.search(data, at):
            return None
        units = _jpeg_units(data, frame)
    except (struct.error, IndexError, BadImageError, ZeroDivisionError):
        return None
    if interval and len(_JPEG_RESTART.findall(data, at)) != (units - 1) // interval:
        return None
    return data.removesuffix(b"\xff")


def _jpeg_units(data: bytes, frame: int) -> int:
    """Returns the number of minimum coded units of an image with one scan (ITU-T T.81, A.2)."""
    height, width = struct.unpack_from(">HH", data, frame + 1)
    sampling = [data[frame + 7 + 3 * n] for n in range(data[frame + 5])]
    across, down = max(s >> 4 for s in sampling), max(s & 15 for s in sampling)
    if len(sampling) == 1:
        across = down = 1
    return -(-width // (8 * across)) * -(-height // (8 * down))


def check_whole(data: bytes, header: ImageHeader) -> bytes:
    """Checks that the file reaches the end of its image; bytes after that end are allowed.

    Returns:
        The bytes for the decoder: a PNG without text, profiles and animation, others unchanged.

    Raises:
        BadImageError: cut short, or damaged if the format has checksums.
    """
    try:
        return _FORMATS[header.format][2](data)
    except (struct.error, IndexError):
        raise BadImageError(_TRUNCATED) from None


def stranger(data: bytes) -> str:
    """Returns why bytes that have none of the known formats are no image."""
    if not data:
        return "the file is empty"
    if not data.strip(b"\0"):
        return "the file contains only zeros"
    if is_raw(data):
        return RAW
    if (name := format_of(data)) is not None:
        return f"the {name} image is damaged or not supported"
    return f"the file is not an image that can be read; {FORMATS} are supported"


# A marker other than stuffed zeros, restart markers and fill bytes ends a scan (ITU-T T.81, B.1.1).
_JPEG_SCAN_END = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_JPEG_NO_FRAME = (0xC4, 0xC8, 0xCC)  # tables and extensions among the start-of-frame numbers
_JPEG_SEQUENTIAL = (0xC0, 0xC1)  # baseline and extended, with Huffman codes
_JPEG_RESTARTS = 0xDD  # defines the interval
_JPEG_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_JPEG_SOS, _JPEG_EOI = 0xDA, 0xD9
# A progressive image has about ten. Each costs a pass over all its pixels: a file of eight megabytes
# made of tiny scans would keep a core busy for minutes.
_JPEG_MOST_SCANS = 64


def _jpeg_segment(data: bytes, at: int) -> tuple[int, int, int]:
    """Returns (marker, start of its contents, start of what follows) of the segment at `at`."""
    while data[at] == 0xFF and data[at + 1] == 0xFF:
        at += 1
    if data[at] != 0xFF:
        raise BadImageError(DAMAGED)
    marker = data[at + 1]
    if marker == _JPEG_EOI:
        return marker, at + 2, at + 2
    (length,) = struct.unpack_from(">H", data, at + 2)
    if length < 2:
        raise BadImageError(DAMAGED)
    return marker, at + 4, at + 2 + length


def _jpeg_size(data: bytes) -> tuple[int, int]:
    at = 2
    while True:
        marker, contents, at = _jpeg_segment(data, at)
        if 0xC0 <= marker <= 0xCF and marker not in _JPEG_NO_FRAME:
            height, width = struct.unpack_from(">HH", data, contents + 1)
            return width, height
        if marker in (_JPEG_SOS, _JPEG_EOI):
            raise BadImageError(DAMAGED)


def _jpeg_whole(data: bytes) -> bytes:
    """A thumbnail's end marker lies inside a segment and is skipped; the image's follows a scan."""
    at, marker, scans = 2, 0, 0
    while marker != _JPEG_EOI:
        marker, _, at = _jpeg_segment(data, at)
        if marker == _JPEG_SOS:
            scans += 1
            if scans > _JPEG_MOST_SCANS:
                raise BadImageError(f"the image has more than {_JPEG_MOST_SCANS} scans")
            end = _JPEG_SCAN_END.search(data, at)
            if end is None:
                raise BadImageError(_TRUNCATED)
            at = end.start()
    return data


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
            raise BadImageError(_TRUNCATED)
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
        raise BadImageError(_TRUNCATED)
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
        raise BadImageError(_TRUNCATED)
    return data


_TIFF_WIDTH, _TIFF_HEIGHT = 256, 257
_TIFF_NUMBERS = {3: "H", 4: "I"}  # the types that a size may have: SHORT and LONG


def _tiff_size(data: bytes) -> tuple[int, int]:
    size: dict[int, int] = {}
    for order, tag, kind, count, at in tiff_entries(data):
        if tag not in (_TIFF_WIDTH, _TIFF_HEIGHT):
            continue
        if tag in size or kind not in _TIFF_NUMBERS or count != 1:
            raise BadImageError(DAMAGED)
        (size[tag],) = struct.unpack_from(f"{order}{_TIFF_NUMBERS[kind]}", data, at)
    return size.get(_TIFF_WIDTH, 0), size.get(_TIFF_HEIGHT, 0)


def _tiff_whole(data: bytes) -> bytes:
    """The strips are left to the decoder, which refuses missing ones."""
    return data


_Size = Callable[[bytes], tuple[int, int]]
_Whole = Callable[[bytes], bytes]
_FORMATS: dict[str, tuple[re.Pattern[bytes], _Size, _Whole]] = {
    "jpeg": (re.compile(rb"\xff\xd8"), _jpeg_size, _jpeg_whole),
    "png": (re.compile(rb"\x89PNG\r\n\x1a\n"), _png_size, _png_whole),
    "gif": (re.compile(rb"GIF8[79]a"), _gif_size, _gif_whole),
    "bmp": (
        re.compile(rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0", re.DOTALL),
        _bmp_size,
        _bmp_whole,
    ),
    "webp": (re.compile(rb"RIFF....WEBP", re.DOTALL), _webp_size, _webp_whole),
    "tiff": (re.compile(rb"II\*\0|MM\0\*"), _tiff_size, _tiff_whole),
}

# Pillow finds their size, and what OpenCV alone reads is small code.
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
