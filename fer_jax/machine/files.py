"""Files written so that a reader sees the old one or the new one, never half of one."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from fer_jax.errors import FerError


def write_bytes(path: Path, content: bytes) -> None:
    """Replaces `path` by `content` in one step, after it has reached the disk."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        error.filename = str(path)  # a write does not tell what it was writing to
        raise
    finally:
        partial.unlink(missing_ok=True)


def make_folder(path: Path) -> None:
    """Makes the folder that a command will write to, before it starts its work.

    Raises:
        FerError: the folder cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FerError(f"cannot write {path}: {error.strerror}; name another --out") from error


def write_json(path: Path, value: Any) -> None:
    """Replaces `path` by `value` as indented JSON."""
    write_bytes(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Returns the rows of a .jsonl file, without a last line that a killed process left unfinished.

    Raises:
        FerError: a line is not valid JSON.
    """
    if not path.exists():
        return []
    rows = []
    for number, line in enumerate(path.read_text().splitlines(keepends=True), 1):
        try:
            rows += [json.loads(line)] if line.endswith("\n") else []
        except json.JSONDecodeError as error:
            raise FerError(
                f"{path}:{number}: not valid JSON ({error.msg}); repair the file or remove it"
            ) from error
    return rows


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
