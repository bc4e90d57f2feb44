"""Recognises cameras' raw files. Decoders find only their thumbnail, which is not the photograph."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator


def endings(*names: str) -> frozenset[str]:
    """Returns names separated by spaces as endings of file names."""
    return frozenset(f".{name}" for line in names for name in line.split())


RAW = "it is a raw camera file; export it as JPEG or TIFF"
RAW_SUFFIXES = endings(
    "3fr arw cr2 cr3 crw dcr dng erf fff iiq kdc mef mos mrw nef nrw orf pef raf raw rw2 rwl sr2 srf",
    "srw x3f",
)

_SIGNATURE = re.compile(
    rb"II\*\0.{4}CR|....ftypcrx|II\x1a\0....HEAPCCDR"  # Canon's CR2, CR3 and CRW
    # Fujifilm, Olympus, Panasonic, Sigma, Minolta
    rb"|FUJIFILMCCD-RAW|IIR[OS]|MMOR|IIU\0|FOVb|\0MRM",
    re.DOTALL,
)
_TIFF = re.compile(rb"II\*\0|MM\0\*")
_KIND, _INNER, _DNG_VERSION = 254, 330, 50706  # the tags NewSubfileType, SubIFDs, DNGVersion


def is_raw(data: bytes) -> bool:
    """Returns whether a file is a camera's raw data, by its first bytes or its TIFF tags."""
    if _SIGNATURE.match(data):
        return True
    try:
        return _TIFF.match(data) is not None and _is_raw_tiff(data)
    except struct.error:
        return False


def _is_raw_tiff(data: bytes) -> bool:
    """A digital negative, or a thumbnail that leads to directories with the photograph."""
    tags, thumbnail = set(), False
    for order, tag, _, _, at in tiff_entries(data):
        tags.add(tag)
        if tag == _KIND:
            thumbnail = bool(struct.unpack_from(f"{order}I", data, at)[0] & 1)
    return _DNG_VERSION in tags or (thumbnail and _INNER in tags)


def tiff_entries(data: bytes) -> Iterator[tuple[str, int, int, int, int]]:
    """Yields byte order, tag, type, count and place of the first directory (TIFF 6.0, section 2).

    Raises:
        struct.error: it is cut short.
    """
    order = "<" if data[:2] == b"II" else ">"
    (at,) = struct.unpack_from(f"{order}I", data, 4)
    (entries,) = struct.unpack_from(f"{order}H", data, at)
    for entry in range(at + 2, at + 2 + 12 * entries, 12):
        tag, kind, count = struct.unpack_from(f"{order}HHI", data, entry)
        yield order, tag, kind, count, entry + 8
