"""Locks of files, and what stands in for them on Windows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fer_jax.machine.locking import lock


def test_another_process_cannot_lock_a_locked_file(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    ask = f"from fer_jax.machine.locking import lock; lock(open({str(path)!r}, 'a+'))"
    with path.open("a+") as file:
        lock(file)
        done = subprocess.run(
            [sys.executable, "-c", ask], check=False, capture_output=True, text=True
        )
        assert "BlockingIOError" in done.stderr
    subprocess.run([sys.executable, "-c", ask], check=True)


def test_a_taken_lock_raises_the_same_error_on_windows(tmp_path: Path, monkeypatch) -> None:
    def taken(*_: object) -> None:
        raise PermissionError("locked")

    class Msvcrt:
        LK_NBLCK = 2
        locking = staticmethod(taken)

    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setitem(sys.modules, "msvcrt", Msvcrt)
    with (tmp_path / "lock").open("a+") as file, pytest.raises(BlockingIOError):
        lock(file)
