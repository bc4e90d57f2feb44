"""A run's folder: who may write to it, and its history, which survives being killed at any moment."""

from __future__ import annotations

import contextlib
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
_LOCK = "lock"
_WRITTEN = (
    *("config.json", "report.json", "card.json", HISTORY, TIMING),
    *("history.png", "confusion.png"),
)


@contextlib.contextmanager
def locked(workdir: Path) -> Iterator[None]:
    """Makes `workdir` and keeps it for this process; the lock goes with the process, however it ends.

    Raises:
        TrainingError: another run has it, or the folder can not be made.
    """
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        file = (workdir / _LOCK).open("a+")
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
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
    for name in _WRITTEN:
        (workdir / name).unlink(missing_ok=True)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Rows of a .jsonl file; a last line that a killed process left unfinished is not one."""
    if not path.exists():
        return []
    lines = path.read_text().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def keep_rows_until(path: Path, step: int) -> list[dict[str, Any]]:
    """Drops the rows after `step`, whose steps will be taken again, and returns the others."""
    rows = [row for row in read_rows(path) if row["step"] <= step]
    write_bytes(path, "".join(json.dumps(row) + "\n" for row in rows).encode())
    return rows


def append_row(path: Path, row: dict[str, Any]) -> None:
    """Adds `row` and waits for the disk: a checkpoint saved next must not be ahead of its history."""
    with path.open("a") as file:
        file.write(json.dumps(row) + "\n")
        file.flush()
        os.fsync(file.fileno())
