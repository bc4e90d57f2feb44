"""A run's folder: its lock and its history, which survives being killed at any moment."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from fer_jax.errors import TrainingError
from fer_jax.evaluation.openings import OPENINGS
from fer_jax.machine.cluster import is_first
from fer_jax.machine.files import read_rows, write_bytes
from fer_jax.machine.locking import lock
from fer_jax.saved_model import FOLDER

HISTORY = "history.jsonl"
TIMING = "timing.jsonl"
_LOCK = "lock"
_REPORTS = ("report.json", "card.json", "confusion.png", "reliability.png")
_KEPT = ("config.json", HISTORY, TIMING, OPENINGS, "history.png")


@contextlib.contextmanager
def locked(workdir: Path) -> Iterator[None]:
    """Makes `workdir` and locks it for this process; the lock ends with the process.

    Process 0 of a cluster has the lock for all of them.

    Raises:
        TrainingError: another run holds the lock, or the folder cannot be made.
    """
    if not is_first():
        yield
        return
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        file = (workdir / _LOCK).open("a+")
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        raise TrainingError(f"{workdir}: cannot be used as --workdir ({error.strerror})") from error
    with file:
        try:
            lock(file)
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
    """Removes the files of an earlier run and nothing else."""
    shutil.rmtree(workdir / FOLDER, ignore_errors=True)
    clear_reports(workdir)
    for name in _KEPT:
        (workdir / name).unlink(missing_ok=True)


def clear_reports(workdir: Path) -> None:
    """Deletes reports about a checkpoint that training is about to replace."""
    for name in _REPORTS:
        (workdir / name).unlink(missing_ok=True)


def keep_rows_until(path: Path, step: int) -> None:
    """Drops the rows after `step`, whose steps will run again."""
    rows = [row for row in read_rows(path) if row["step"] <= step]
    write_bytes(path, "".join(json.dumps(row) + "\n" for row in rows).encode())
