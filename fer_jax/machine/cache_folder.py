"""Where this project keeps what it can make again: $FER_CACHE_DIR, or ~/.cache/fer_jax."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "FER_CACHE_DIR"


def cache_folder(part: str) -> Path:
    """Returns the folder of one kind of cached things ("datasets", "xla"); makes nothing."""
    return Path(os.environ.get(VARIABLE) or "~/.cache/fer_jax").expanduser() / part
