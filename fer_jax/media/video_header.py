"""Which files are videos, and whether a container says that it should have been longer.

FFmpeg guesses generously: it opens text files as subtitles and playlists that point elsewhere. Only
files that begin like one of the usual containers are handed to it.
"""

from __future__ import annotations

import os
import re
import struct
from typing import BinaryIO

FORMATS = "MP4, MOV, AVI, Matroska, WebM, MPEG, Ogg, FLV and WMV"

_RIFF = re.compile(rb"RIFF....AVI ", re.DOTALL)
_MP4 = re.compile(
    rb"....(ftyp(?!avif|avis|hei|hev|mif|msf)|moov|mdat|free|wide|skip|pnot)", re.DOTALL
)
_OTHERS = re.compile(
    rb"\x1aE\xdf\xa3"  # Matroska, WebM
    rb"|G.{187}G|.{4}G.{191}G"  # MPEG transport stream, plain and with time codes
    rb"|\0\0\x01[\xba\xb3]"  # MPEG program stream, MPEG-1/2 video
    rb"|OggS|FLV\x01|\x30\x26\xb2\x75\x8e\x66\xcf\x11",  # the last is ASF: WMV
    re.DOTALL,
)


def is_video(head: bytes) -> bool:
    """Tells from a file's first 512 bytes whether it begins like one of `FORMATS`."""
    return any(pattern.match(head) for pattern in (_RIFF, _MP4, _OTHERS))


def is_cut(file: BinaryIO) -> bool:
    """Tells whether an MP4, MOV or AVI file ends inside one of its boxes; leaves the file's position.

    Of other containers it says False: they are streams, complete wherever they end.
    """
    start = file.tell()
    try:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        head = file.read(12)
        if _RIFF.match(head):
            return size < 8 + struct.unpack_from("<I", head, 4)[0]
        return bool(_MP4.match(head)) and _last_box_end(file, size) > size
    finally:
        file.seek(start)


def _last_box_end(file: BinaryIO, size: int) -> int:
    """Steps over the top-level boxes (ISO/IEC 14496-12, 4.2): big-endian length, then a name."""
    at = 0
    while at + 8 <= size:
        file.seek(at)
        header = file.read(16)
        length = int.from_bytes(header[:4])
        if length == 1:
            length = int.from_bytes(header[8:16])
        if length < 8:  # 0 is "to the end of the file"; 2 to 7 are nonsense
            return size
        at += length
    return at
