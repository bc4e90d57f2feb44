"""Walks the segments of a JPEG file (ITU-T T.81, annex B): its size, its end, or the lack of one."""

from __future__ import annotations

import re
import struct

from fer_jax.media.image_errors import DAMAGED, TRUNCATED, BadImageError

_LOST = b"\0" * 16  # what a disk or a download leaves instead of lost data

# A marker other than stuffed zeros, restart markers and fill bytes ends a scan (ITU-T T.81, B.1.1).
_SCAN_END = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_NO_FRAME = (0xC4, 0xC8, 0xCC)  # tables and extensions among the start-of-frame numbers
_SEQUENTIAL = (0xC0, 0xC1)  # baseline and extended, with Huffman codes
_RESTARTS = 0xDD  # defines the interval
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_SOS, _EOI = 0xDA, 0xD9
# Segments with a length, and no others: libjpeg reads no length after TEM, restart markers and stuffed
# zeros, and would find another image where this walk sees a segment's contents.
_SEGMENTS = frozenset((*range(0xC0, 0xD0), *range(_SOS, 0xDE), *range(0xE0, 0xF0), 0xFE))
# A progressive image has about ten. Each costs a pass over all its pixels: a file of eight megabytes
# made of tiny scans would keep a core busy for minutes.
_MOST_SCANS = 64


def jpeg_size(data: bytes) -> tuple[int, int]:
    """Returns the width and height that the frame header claims.

    Raises:
        BadImageError: no frame header before the pixels.
        struct.error, IndexError: the bytes end before it.
    """
    at = 2
    while True:
        marker, contents, at = _segment(data, at)
        if 0xC0 <= marker <= 0xCF and marker not in _NO_FRAME:
            height, width = struct.unpack_from(">HH", data, contents + 1)
            return width, height
        if marker in (_SOS, _EOI):
            raise BadImageError(DAMAGED)


def jpeg_whole(data: bytes) -> bytes:
    """Returns the bytes of an image that reaches its end marker.

    A thumbnail's end marker is inside a segment and is skipped; the image's follows a scan.

    Raises:
        BadImageError: cut short within a scan, damaged, or with too many scans.
        struct.error, IndexError: cut short elsewhere.
    """
    at, marker, scans = 2, 0, 0
    while marker != _EOI:
        marker, _, at = _segment(data, at)
        if marker == _SOS:
            scans += 1
            if scans > _MOST_SCANS:
                raise BadImageError(f"the image has more than {_MOST_SCANS} scans")
            end = _SCAN_END.search(data, at)
            if end is None:
                raise BadImageError(TRUNCATED)
            at = end.start()
    return data


def jpeg_without_end(data: bytes) -> bytes | None:
    """Returns the bytes of a JPEG that may lack only its end marker, otherwise None.

    Only for sequential images with one scan: in others, whole scans may be missing unnoticed. Only the
    pixels show whether the scan, or its last restart interval, is complete.
    """
    at, frame, contents, marker, interval = 2, 0, 0, 0, 0
    if data.endswith(_LOST):
        return None
    try:
        while marker != _SOS:
            marker, contents, at = _segment(data, at)
            if 0xC0 <= marker <= 0xCF and marker not in _NO_FRAME:
                frame = contents if marker in _SEQUENTIAL else 0
            elif marker == _RESTARTS:
                (interval,) = struct.unpack_from(">H", data, contents)
            elif marker == _EOI:
                return None
        if not frame or data[contents] != data[frame + 5] or _SCAN_END.search(data, at):
            return None
        units = _units(data, frame)
    except (struct.error, IndexError, BadImageError, ZeroDivisionError):
        return None
    if interval and len(_RESTART.findall(data, at)) != (units - 1) // interval:
        return None
    return data.removesuffix(b"\xff")


def _units(data: bytes, frame: int) -> int:
    """Returns the number of minimum coded units of an image with one scan (ITU-T T.81, A.2)."""
    height, width = struct.unpack_from(">HH", data, frame + 1)
    sampling = [data[frame + 7 + 3 * n] for n in range(data[frame + 5])]
    across, down = max(s >> 4 for s in sampling), max(s & 15 for s in sampling)
    if len(sampling) == 1:
        across = down = 1
    return -(-width // (8 * across)) * -(-height // (8 * down))


def _segment(data: bytes, at: int) -> tuple[int, int, int]:
    """Returns (marker, start of its contents, start of what follows) of the segment at `at`."""
    while data[at] == 0xFF and data[at + 1] == 0xFF:
        at += 1
    if data[at] != 0xFF:
        raise BadImageError(DAMAGED)
    marker = data[at + 1]
    if marker == _EOI:
        return marker, at + 2, at + 2
    (length,) = struct.unpack_from(">H", data, at + 2)
    if marker not in _SEGMENTS or length < 2:
        raise BadImageError(DAMAGED)
    return marker, at + 4, at + 2 + length
