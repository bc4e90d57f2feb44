"""Maintains the cache folder of prepared datasets: location, names, space, disk errors.

It removes only folders with names of its own format, because a user may have chosen a folder that holds
other things.
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

_KEPT = 8  # most recently used datasets in the cache; FER2013 takes 80 MB
_STALE_SECONDS = 24 * 3600  # no preparation takes a day: an older one was killed
_ENTRY = re.compile(r"[0-9a-f]{24}-(raise|skip)|synthetic-([\d.]+-)?seed\d+(-[a-z]+\d+)+")
_FULL = (*FULL_DISK, errno.EFBIG)


def entry_name(fingerprint: str, variant: str) -> str:
    """Returns the folder of the dataset made from files with this fingerprint (64 hex digits)."""
    return f"{fingerprint[:24]}-{variant}"


def disk_reason(error: OSError | RuntimeError) -> str | None:
    """Returns why the disk failed; array_record only reports it in the text of a RuntimeError."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    reasons = (os.strerror(number) for number in _FULL)
    return next((reason for reason in reasons if reason in str(error)), None)


def make_room(folder: Path, *, partial: str) -> None:
    """Creates an entry's folder and removes what is no longer needed.

    That is the remains of killed preparations of this entry (`partial`, a pattern inside `folder`), and
    the least recently used other entries.
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
    """Returns seconds since the epoch; infinity if another process has just moved the entry."""
    try:
        return entry.stat().st_mtime
    except FileNotFoundError:
        return math.inf
