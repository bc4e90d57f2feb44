"""The upkeep of the folder that holds prepared datasets: place, names, room, what a disk says.

Only folders with names of our own making are ever removed, because a user may have pointed the
cache at a folder that holds other things.
"""

from __future__ import annotations

import errno
import math
import os
import re
import shutil
import time
from pathlib import Path

from fer_jax.machine.outputs import FULL_DISK

_KEPT = 8  # datasets in the cache, the last used; FER2013 takes 80 MB
_STALE_SECONDS = 24 * 3600  # no preparation takes a day: an older one was killed
_ENTRY = re.compile(r"[0-9a-f]{24}-(raise|skip)|synthetic-([\d.]+-)?seed\d+(-[a-z]+\d+)+")
_FULL = (*FULL_DISK, errno.EFBIG)


def entry_name(fingerprint: str, variant: str) -> str:
    """The folder of the dataset made from files of this fingerprint (64 hex digits)."""
    return f"{fingerprint[:24]}-{variant}"


def disk_reason(error: OSError | RuntimeError) -> str | None:
    """Why the disk refused; array_record gives it in the text of a RuntimeError only."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    reasons = (os.strerror(number) for number in _FULL)
    return next((reason for reason in reasons if reason in str(error)), None)


def make_room(folder: Path, *, partial: str) -> None:
    """Makes an entry's folder and removes what is no longer needed.

    That is what killed preparations of this entry left (`partial`, a pattern inside `folder`), and
    the entries beside it that were used longest ago.
    """
    now = time.time()
    for left in folder.glob(partial):
        if now - _last_used(left) > _STALE_SECONDS:
            shutil.rmtree(left, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    entries = [entry for entry in folder.parent.iterdir() if _ENTRY.fullmatch(entry.name)]
    entries.sort(key=_last_used, reverse=True)
    for entry in entries[_KEPT:]:
        shutil.rmtree(entry, ignore_errors=True)


def _last_used(entry: Path) -> float:
    """Seconds since the epoch; never, as far as removing goes, if another process just moved it."""
    try:
        return entry.stat().st_mtime
    except FileNotFoundError:
        return math.inf
