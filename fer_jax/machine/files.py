"""Files written so that a reader sees the old one or the new one, never half of one."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from fer_jax.errors import FerError
from fer_jax.machine.json_files import parse_json
from fer_jax.machine.outputs import output_error, partial_path
from fer_jax.machine.regular_files import read_regular

_MOST_BYTES = 256 << 20


def write_bytes(path: Path, content: bytes) -> None:
    """Replaces `path` by `content` in one step, after it has reached the disk.

    Raises:
        OutputError: it cannot be written; what was there still is.
    """
    partial = partial_path(path)
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise output_error(path, error) from error
    finally:
        with contextlib.suppress(OSError):  # its folder is gone
            partial.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Replaces `path` by `value` as indented JSON; see `write_bytes`."""
    write_bytes(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Returns the rows of a .jsonl file, without a last line that a killed process left unfinished.

    Raises:
        FerError: it cannot be read, or a line is not valid JSON.
    """
    try:
        text = read_regular(path, most_bytes=_MOST_BYTES).decode()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise FerError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise FerError(f"{path}: cannot be read ({error})") from error
    rows = []
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        try:
            rows += [parse_json(line)] if line.endswith("\n") else []
        except ValueError as error:
            raise FerError(
                f"{path}:{number}: not valid JSON ({error}); repair the file or remove it"
            ) from error
    return rows


def append_row(path: Path, row: dict[str, Any]) -> None:
    """Adds `row` and waits for the disk: a checkpoint saved next must not be ahead of its history.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        with path.open("a") as file:
            file.write(json.dumps(row) + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise output_error(path, error) from error
