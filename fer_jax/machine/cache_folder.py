"""The cache folder, for files that can be rebuilt: $FER_CACHE_DIR, or ~/.cache/fer_jax."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "FER_CACHE_DIR"


def cache_folder(part: str) -> Path:
    """Returns the folder for one kind of cached files ("datasets", "xla") without making it."""
    return Path(os.environ.get(VARIABLE) or "~/.cache/fer_jax").expanduser() / part
