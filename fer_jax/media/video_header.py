"""Detects which files are videos, and whether a container was truncated.

FFmpeg guesses generously: it opens text files as subtitles and follows playlists. Only files that start
like one of the usual containers are passed to it.
"""

from __future__ import annotations

import os
import re
import struct
from typing import BinaryIO

FORMATS = "MP4, MOV, AVI, Matroska, WebM, MPEG, Ogg, FLV and WMV"

_RIFF = re.compile(rb"RIFF....AVI ", re.DOTALL)
_MP4 = re.compile(
    rb"....(ftyp(?!avif|avis|hei|hev|mif|msf|crx)|moov|mdat|free|wide|skip|pnot)", re.DOTALL
)
_OTHERS = re.compile(
    rb"\x1aE\xdf\xa3"  # EBML: Matroska, WebM
    rb"|G.{187}G|.{4}G.{191}G"  # MPEG transport stream, plain and with time codes
    rb"|\0\0\x01[\xba\xb3]"  # MPEG program stream, MPEG-1/2 video
    rb"|OggS|FLV\x01|\x30\x26\xb2\x75\x8e\x66\xcf\x11",  # the last is ASF: WMV
    re.DOTALL,
)


def is_video(head: bytes) -> bool:
    """Returns whether a file's first 512 bytes look like one of `FORMATS`."""
    return any(pattern.match(head) for pattern in (_RIFF, _MP4, _OTHERS))


def is_cut(file: BinaryIO) -> bool:
    """Returns whether a container shows that its file was truncated; changes the file's position.

    An MP4, MOV, AVI, Matroska or WebM file is truncated if one of its elements ends beyond the file. The
    other containers are streams, complete wherever they end, like elements of unknown length. Damage,
    or data after the video, is not evidence.
    """
    start = file.tell()
    try:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        head = file.read(16)
        if _RIFF.match(head):
            return _riff_is_cut(file, size)
        if head.startswith(_EBML):
            return _matroska_is_cut(file, size)
        return bool(_MP4.match(head)) and _mp4_is_cut(file, size)
    finally:
        file.seek(start)


# Top-level boxes that an MP4 or MOV file consists of; cameras append other things.
_BOXES = frozenset(
    {
        b"ftyp",
        b"moov",
        b"mdat",
        b"moof",
        b"free",
        b"skip",
        b"wide",
        b"uuid",
        b"sidx",
        b"styp",
        b"mfra",
    }
)


def _mp4_is_cut(file: BinaryIO, size: int) -> bool:
    """Steps over the top-level boxes (ISO/IEC 14496-12, 4.2): big-endian length, then a name."""
    at = 0
    while at + 8 <= size:
        file.seek(at)
        header = file.read(16)
        length = int.from_bytes(header[:4])
        if length == 1:
            length = int.from_bytes(header[8:16])
        if length < 8:  # 0 is "to the end of the file"; 2 to 7 are invalid
            return False
        at += length
        if at > size:
            return header[4:8] in _BOXES
    return False


def _riff_is_cut(file: BinaryIO, size: int) -> bool:
    """Steps over an AVI's RIFF chunks, of which large files have several; 0 is not filled in yet."""
    at = 0
    while at + 12 <= size:
        file.seek(at)
        name, length, form = struct.unpack("<4sI4s", file.read(12))
        if name != b"RIFF" or form not in (b"AVI ", b"AVIX") or not 0 < length < 2**32 - 1:
            return False
        if at + 8 + length > size:
            return True
        at += 8 + length + length % 2
    return False


_EBML = b"\x1aE\xdf\xa3"
_EBML_HEADER = 0x1A45DFA3
_SEGMENT, _CLUSTER = 0x18538067, 0x1F43B675
# The elements of a segment and of a cluster (RFC 9559): SeekHead, Info, Tracks, Cues, Chapters, Tags,
# Attachments, Cluster; Timestamp, Position, PrevSize, SimpleBlock, BlockGroup, Void, CRC-32, and the
# EncryptedBlock and SilentTracks of old files.
_ELEMENTS = frozenset(
    {0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1C53BB6B, 0x1043A770, 0x1254C367, 0x1941A469, _CLUSTER}
    | {0xE7, 0xA7, 0xAB, 0xA3, 0xA0, 0xEC, 0xBF, 0xAF, 0x5854}
)
_MOST_ELEMENTS = 10_000_000  # two days of video


def _matroska_is_cut(file: BinaryIO, size: int) -> bool:
    """Checks the segment's length or, if a recorder left it unknown, the elements within."""
    at = 0
    while at < size:
        file.seek(at)
        element = _ebml(file.read(12))
        if element is None:
            return False
        name, length, header = element
        if length is None:
            if name not in (_SEGMENT, _CLUSTER):
                return False
            at += header  # its content follows, as if at the same level
            continue
        at += header + length
        if name == _SEGMENT:
            return at > size
        if at > size:
            return name in _ELEMENTS
        if name not in _ELEMENTS and at != header + length:  # the first is the EBML header
            return False
    return False


def lost_blocks(file: BinaryIO) -> bool:
    """Returns whether a Matroska or WebM file has damage where blocks should be; changes the position.

    A cluster consists of its elements, one after the other. Anything else in it has replaced some.
    """
    end, at = file.seek(0, os.SEEK_END), 0
    for _ in range(_MOST_ELEMENTS):
        if at >= end:
            break
        file.seek(at)
        element = _ebml(file.read(12))
        if at == 0 and (element is None or element[0] != _EBML_HEADER):
            break
        if element is None:
            return end - at >= 12  # otherwise it is only unfinished
        name, length, header = element
        if name == _SEGMENT and length is not None:
            end = min(end, at + header + length)  # cameras append other things
        if name not in _ELEMENTS | {_EBML_HEADER, _SEGMENT}:
            return True
        at += header  # what a segment or cluster holds follows, as if at the same level
        if name not in (_SEGMENT, _CLUSTER):
            at += length or 0
    return False


def _ebml(data: bytes) -> tuple[int, int | None, int] | None:
    """Returns an element's name, length (None if unknown) and bytes of both (RFC 8794, 5 and 6)."""
    if len(data) < 2 or data[0] < 0x10:
        return None
    name_bytes = 9 - data[0].bit_length()
    if len(data) <= name_bytes or data[name_bytes] == 0:
        return None
    length_bytes = 9 - data[name_bytes].bit_length()
    end = name_bytes + length_bytes
    if len(data) < end:
        return None
    unknown = (1 << 7 * length_bytes) - 1
    length = int.from_bytes(data[name_bytes:end]) & unknown
    return int.from_bytes(data[:name_bytes]), None if length == unknown else length, end
