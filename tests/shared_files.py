"""Real data for tests: the folder `shared` beside the checkout, or the one that $FER_SHARED names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("FER_SHARED") or Path(__file__).resolve().parents[2] / "shared")


def shared_file(name: str) -> Path:
    """A file of the shared folder ("media/two_people.jpg"); skips the test where there is none."""
    path = SHARED / name
    if not path.is_file():
        pytest.skip(f"{path} is not there; set FER_SHARED to a folder that holds {name}")
    return path
