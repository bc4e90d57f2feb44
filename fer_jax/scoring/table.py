"""Rows -> a table to read on a terminal: a line for each face of an image and each track of a video."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby

import numpy as np

from fer_jax.expressions import EXPRESSIONS
from fer_jax.machine.terminal import printable
from fer_jax.scoring.rows import Row

_HEADINGS = ("file", "face", "expression", "confidence", "next", "where")
_GAP = "  "


def table(rows: Iterable[Row]) -> str:
    """Returns the table, numbered as the annotated copies are; it is as wide as its longest lines.

    Args:
        rows: in the order of a run; those of one input follow each other.
    """
    lines = [_HEADINGS]
    for path, of_input in groupby(rows, key=lambda row: row.path):
        lines += [(printable(path), *cells) for cells in _lines(list(of_input))]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        _GAP.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _lines(rows: list[Row]) -> Iterator[tuple[str, ...]]:
    tracks: dict[int, list[Row]] = {}
    for row in rows:
        if row.track is not None:
            tracks.setdefault(row.track, []).append(row)
    for number, of_track in sorted(tracks.items()):
        yield _track_line(number, of_track)
    for row in rows:
        if row.status == "ok" and row.track is None:
            yield _face_line(row)
        elif row.status == "no_face":
            yield "-", "no face", "", "", ""
        elif row.status != "ok":
            yield "-", row.status, "", "", printable(row.error or "")


def _face_line(row: Row) -> tuple[str, ...]:
    assert row.box is not None
    assert row.probabilities is not None
    x, y, width, height = row.box
    where = f"x {x:.0f}, y {y:.0f}, {width:.0f} x {height:.0f}"
    return _said(row.face, np.array(row.probabilities), uncertain=bool(row.uncertain), where=where)


def _track_line(number: int, rows: list[Row]) -> tuple[str, ...]:
    """The mean of a track's smoothed probabilities; uncertain if most of its frames are."""
    mean = np.mean([row.smoothed for row in rows if row.smoothed is not None], axis=0)
    uncertain = Counter(bool(row.uncertain) for row in rows).most_common(1)[0][0]
    times = [row.time_s for row in rows if row.time_s is not None]
    where = f"{min(times):.1f} to {max(times):.1f} s, {len(rows):,} frames"
    return _said(number, mean, uncertain=uncertain, where=where)


def _said(
    number: int | None, probabilities: np.ndarray, *, uncertain: bool, where: str
) -> tuple[str, ...]:
    first, second = np.argsort(-probabilities, kind="stable")[:2]
    return (
        f"#{number}",
        EXPRESSIONS[first] + ("?" if uncertain else ""),
        f"{probabilities[first]:.0%}",
        f"{EXPRESSIONS[second]} {probabilities[second]:.0%}",
        where,
    )
