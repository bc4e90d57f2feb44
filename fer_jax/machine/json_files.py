"""JSON from disk that may be anything: of a regular file, of bounded size and depth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fer_jax.machine.regular_files import read_regular

_MOST_BYTES = 64 << 20


def read_json(path: Path) -> Any:
    """Returns what a file holds as JSON; a pipe or a device is not waited for.

    Raises:
        OSError: missing, not permitted, not a regular file, or larger than 64 MiB.
        ValueError: not valid JSON, or nested too deeply.
    """
    return parse_json(read_regular(path, most_bytes=_MOST_BYTES))


def parse_json(text: str | bytes | bytearray) -> Any:
    """Returns what JSON says.

    Raises:
        ValueError: it is not valid, or nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
