"""Counts the frames that packets of VP8, VP9 and AV1 show.

Encoders hide frames from which others are predicted: of VP8 in separate packets, of VP9 and AV1 in
the packet of a frame that is shown.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Shown(NamedTuple):
    """What a packet shows.

    Attributes:
        frames: how many.
        key: whether neither it nor what follows needs a frame from before.
    """

    frames: int
    key: bool


def shown_by(codec: str, packet: memoryview) -> Shown | None:
    """Returns what a packet shows; None if its headers cannot be read.

    Args:
        codec: one of `READABLE`.
        packet: not empty.
    """
    try:
        return _READERS[codec](packet)
    except IndexError:
        return None


def _vp8(packet: memoryview) -> Shown:
    """Reads the frame tag (RFC 6386, 9.1): not a key frame, version (3 bits), show_frame."""
    tag = packet[0]
    return Shown(tag >> 4 & 1, not tag & 1)


def _vp9(packet: memoryview) -> Shown | None:
    """Reads the frames of a packet (VP9 Bitstream Specification, 6.2 and annex B)."""
    sizes = _vp9_sizes(packet)
    frames, keys, at = 0, list[bool](), 0
    for size in sizes:
        header = packet[at]
        at += size
        if size <= 0 or header >> 6 != 2:
            return None
        if header >> 4 & 3 == 3:  # the fourth profile, with one more bit
            header <<= 1
        again, inter, show = header & 8, header & 4, header & 2
        frames += bool(again or show)
        keys.append(not again and not inter)
    return Shown(frames, keys[0])


def _vp9_sizes(packet: memoryview) -> list[int]:
    """Returns the sizes of a packet's frames: of a superframe, those in the index at its end."""
    mark = packet[-1]
    if mark >> 5 == 0b110:
        count, width = (mark & 7) + 1, (mark >> 3 & 3) + 1
        index = len(packet) - count * width - 2
        if index >= 0 and packet[index] == mark:
            starts = range(index + 1, len(packet) - 1, width)
            return [int.from_bytes(packet[at : at + width], "little") for at in starts]
    return [len(packet)]


_SEQUENCE_HEADER, _FRAME_HEADER, _FRAME = 1, 3, 6


def _av1(packet: memoryview) -> Shown | None:
    """Reads the open bitstream units of a packet (AV1 Bitstream & Decoding Process, 5.3 to 5.9)."""
    at, frames, keys = 0, 0, list[bool]()
    while at < len(packet):
        head = packet[at]
        at += 2 if head & 4 else 1  # an extension
        size = len(packet) - at
        if head & 2:
            size, at = _leb128(packet, at)
        kind = head >> 3 & 15
        if kind == _SEQUENCE_HEADER and packet[at] & 8:  # of a still picture, with shorter headers
            return None
        if kind in (_FRAME_HEADER, _FRAME):
            again, inter, show = packet[at] & 0x80, packet[at] & 0x60, packet[at] & 0x10
            frames += bool(again or show)
            keys.append(bool(show) and not again and not inter)
        at += size
    return Shown(frames, keys[0])


def _leb128(packet: memoryview, at: int) -> tuple[int, int]:
    """Returns a number of seven bits in each byte, the lowest first, and where it ends."""
    value = 0
    for shift in range(0, 56, 7):
        byte = packet[at]
        at += 1
        value |= (byte & 127) << shift
        if not byte & 128:
            break
    return value, at


_READERS: dict[str, Callable[[memoryview], Shown | None]] = {"vp8": _vp8, "vp9": _vp9, "av1": _av1}
READABLE = frozenset(_READERS)
