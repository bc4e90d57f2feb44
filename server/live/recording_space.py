"""How much of a disk the recordings of a server may take, all of them together."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from typing import Self

from server.settings import Settings

_LEAST_FREE_BYTES = 256 << 20  # of the disk, for other uses


class NoRoomError(OSError):
    """The recordings must end; the message gives the reason in one line."""


class Space:
    """Counts the bytes of recordings; for any thread."""

    def __init__(self, folder: Path, *, most_bytes: int) -> None:
        """Counts from zero: what earlier runs left in the folder is not counted."""
        self.folder = folder
        self._most_bytes, self._bytes = most_bytes, 0
        self._lock = threading.Lock()

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Returns the space that the settings allow."""
        return cls(settings.recordings, most_bytes=round(1e9 * settings.record_limit_gb))

    def take(self, count: int) -> None:
        """Counts further bytes that were written.

        Raises:
            NoRoomError: that is more than allowed, or the disk is nearly full.
        """
        with self._lock:
            self._bytes += count
            full = self._bytes > self._most_bytes
        if full:
            limit = f"{self._most_bytes / 1e9:g} GB"
            raise NoRoomError(f"the recordings reached {limit}; see --record-limit")
        if shutil.disk_usage(self.folder).free < _LEAST_FREE_BYTES:
            raise NoRoomError("the disk is nearly full; free some room and record again")
