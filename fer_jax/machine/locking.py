"""Locks a file for one process; the lock goes with the process, however it ends."""

from __future__ import annotations

import errno
import importlib
from typing import IO, Any


def lock(file: IO[Any]) -> None:
    """Locks an open file, by flock or, on Windows, by its first byte.

    Raises:
        BlockingIOError: another process has it.
    """
    try:
        fcntl = importlib.import_module("fcntl")
    except ImportError:
        _lock_on_windows(file)
        return
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _lock_on_windows(file: IO[Any]) -> None:
    msvcrt = importlib.import_module("msvcrt")
    at = file.tell()
    file.seek(0)
    try:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    except OSError as error:
        raise BlockingIOError(errno.EWOULDBLOCK, "locked by another process") from error
    finally:
        file.seek(at)
