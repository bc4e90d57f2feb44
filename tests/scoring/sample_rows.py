"""Rows for tests: one with a value in every column, and files of rows."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from fer_jax.scoring.rows import Row
from fer_jax.scoring.writers import write_values

FACE = Row(
    "a b.mp4",
    "ok",
    frame=12,
    time_s=0.48,
    face=1,
    track=3,
    box=(-1.5, 2.0, 30.25, 40.0),
    detection_score=0.9,
    expression="happy",
    confidence=0.7,
    uncertain=False,
    quality="ok",
    probabilities=(0.0, 0.1, 0.0, 0.7, 0.1, 0.05, 0.05),
    smoothed=(0.0, 0.1, 0.0, 0.6, 0.2, 0.05, 0.05),
    smooth_expression="happy",
)


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Replaces `path` with a file of `rows`."""
    write_values(path, (row.values() for row in rows))
