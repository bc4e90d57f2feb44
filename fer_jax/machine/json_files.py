"""JSON from disk that may be anything: of a regular file, of bounded size and depth."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any

_MOST_BYTES = 64 << 20


def read_json(path: Path) -> Any:
    """Returns what a file holds as JSON; a pipe or a device is not waited for.

    Raises:
        OSError: missing, not permitted, not a regular file, or larger than 64 MiB.
        ValueError: not valid JSON, or nested too deeply.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        if status.st_size > _MOST_BYTES:
            raise OSError(errno.EFBIG, f"it is larger than {_MOST_BYTES >> 20} MiB", str(path))
        return parse_json(file.read(_MOST_BYTES))


def parse_json(text: str | bytes | bytearray) -> Any:
    """Returns what JSON says.

    Raises:
        ValueError: it is not valid, or nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
