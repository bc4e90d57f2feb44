"""Real data for tests: the folder `shared` next to the checkout, or the one named by $FER_SHARED."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("FER_SHARED") or Path(__file__).resolve().parents[2] / "shared")


def shared_file(name: str) -> Path:
    """A file in the shared folder ("media/two_people.jpg"); skips the test if it is missing."""
    path = SHARED / name
    if not path.is_file():
        pytest.skip(f"{path} does not exist; set FER_SHARED to a folder that holds {name}")
    return path
