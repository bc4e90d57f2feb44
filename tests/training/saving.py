"""Waits for what another process saves."""

from __future__ import annotations

import time
from pathlib import Path


def until_saved(workdir: Path) -> None:
    """Returns once a checkpoint is complete: Orbax then names it after its step."""
    end = time.monotonic() + 120
    while not any(folder.name.isdigit() for folder in workdir.glob("checkpoints/*")):
        assert time.monotonic() < end, "no checkpoint was completed"
        time.sleep(0.02)
