"""A run's folder: who may write to it, and its history, which survives being killed at any moment."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fer_jax.errors import TrainingError
from fer_jax.files import write_bytes
from fer_jax.saved_model import FOLDER

HISTORY = "history.jsonl"
TIMING = "timing.jsonl"
OPENINGS = "test_openings.jsonl"  # see openings.py
_LOCK = "lock"
_REPORTS = ("report.json", "card.json", "confusion.png", "reliability.png")
_KEPT = ("config.json", HISTORY, TIMING, OPENINGS, "history.png")


@contextlib.contextmanager
def locked(workdir: Path) -> Iterator[None]:
    """Makes `workdir` and keeps it for this process; the lock goes with the process, however it ends.

    Raises:
        TrainingError: another run has it, or the folder can not be made.
    """
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        file = (workdir / _LOCK).open("a+")
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        raise TrainingError(
            f"{workdir}: can not be used as --workdir ({error.strerror})"
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            owner = file.read().strip() or "unknown"
            raise TrainingError(
                f"{workdir}: in use by another run (process {owner}); wait for it, or name "
                "another --workdir"
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def clear(workdir: Path) -> None:
    """Removes what an earlier run wrote, and nothing else."""
    shutil.rmtree(workdir / FOLDER, ignore_errors=True)
    clear_reports(workdir)
    for name in _KEPT:
        (workdir / name).unlink(missing_ok=True)


def clear_reports(workdir: Path) -> None:
    """Removes what tells of a checkpoint that training is about to replace."""
    for name in _REPORTS:
        (workdir / name).unlink(missing_ok=True)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Rows of a .jsonl file; a last line that a killed process left unfinished is not one."""
    if not path.exists():
        return []
    lines = path.read_text().splitlines(keepends=True)
    try:
        return [json.loads(line) for line in lines if line.endswith("\n")]
    except json.JSONDecodeError as error:
        raise TrainingError(
            f"{path}: is damaged ({error.msg}); mend it, or start over with --noresume"
        ) from error


def keep_rows_until(path: Path, step: int) -> None:
    """Drops the rows after `step`, whose steps will be taken again."""
    rows = [row for row in read_rows(path) if row["step"] <= step]
    write_bytes(path, "".join(json.dumps(row) + "\n" for row in rows).encode())


def append_row(path: Path, row: dict[str, Any]) -> None:
    """Adds `row` and waits for the disk: a checkpoint saved next must not be ahead of its history."""
    try:
        with path.open("a") as file:
            file.write(json.dumps(row) + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        error.filename = str(path)  # a write does not tell what it was writing to
        raise
