"""Records which inputs are scored already, on disk because there may be very many."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from pathlib import Path

_ALWAYS = -1
_COUNT_ONE_MORE = """
    INSERT INTO finished VALUES (?, ?)
    ON CONFLICT (path) DO UPDATE SET left = left + 1 WHERE left >= 0
"""


class FinishedInputs:
    """Counts the inputs of earlier runs. An input named twice is scored and counted twice."""

    def __init__(self) -> None:
        """Starts empty."""
        # An empty name makes SQLite use a temporary file, written once its cache is full. The worker
        # threads take turns under the lock of the inputs.
        self._database = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute(
            "CREATE TABLE finished (path BLOB PRIMARY KEY, left INTEGER NOT NULL) WITHOUT ROWID"
        )
        self._empty = True

    def add(self, path: Path, *, always: bool = False) -> None:
        """Increments an input's count; with `always`, it is finished however often it is named."""
        if always:
            statement, left = "INSERT OR REPLACE INTO finished VALUES (?, ?)", _ALWAYS
        else:
            statement, left = _COUNT_ONE_MORE, 1
        self._database.execute(statement, (_key(path), left))
        self._empty = False

    def take(self, path: Path) -> bool:
        """Returns whether an input is finished, and decrements its count."""
        if self._empty:
            return False
        key = _key(path)
        found = self._database.execute(
            "SELECT left FROM finished WHERE path = ?", (key,)
        ).fetchone()
        if found is None or found[0] == 0:
            return False
        if found[0] != _ALWAYS:
            self._database.execute("UPDATE finished SET left = left - 1 WHERE path = ?", (key,))
        return True

    def close(self) -> None:
        """Removes the temporary file."""
        self._database.close()


def _key(path: Path) -> bytes:
    return hashlib.blake2b(os.fsencode(path), digest_size=16).digest()
