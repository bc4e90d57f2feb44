"""Leaves no trace of what a capture process sets for itself, where a test runs its parts in this one."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def own_environment() -> Iterator[None]:
    """OpenCV reads its options for FFmpeg from the environment whenever it opens a video."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)
