"""Kept results of an earlier run: all inputs are known, and unreadable ones are counted."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from fer_jax.cluster.kept import kept_inputs
from fer_jax.cluster.parts import Parts
from fer_jax.scoring.rows import Row

pytest.importorskip("pyarrow")

PARTS = (
    (
        Row("a.jpg", "ok"),
        Row("a.jpg", "ok"),
        Row("empty.jpg", "unreadable"),
        Row("nobody.jpg", "no_face"),
    ),
    (Row("cut.mp4", "ok", frame=0), Row("cut.mp4", "unreadable")),
    (Row("s.tar#1.jpg", "unreadable"), Row("s.tar#2.jpg", "ok"), Row("s.tar#3.jpg", "unreadable")),
    (Row("damaged.mp4", "ok", frame=0), Row("damaged.mp4", "note")),
)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_inputs_in_parts_are_finished_and_unreadable_ones_are_counted(
    tmp_path: Path, ending: str
) -> None:
    parts = Parts(str(tmp_path / f"faces.{ending}"))
    parts.prepare()
    for number, rows in enumerate(PARTS):
        parts.write(number, (row.values() for row in rows))
    kept = kept_inputs(parts, parts.numbers())
    with contextlib.closing(kept.finished) as finished:
        names = ["a.jpg", "empty.jpg", "nobody.jpg", "cut.mp4", "s.tar", "damaged.mp4", "new.jpg"]
        assert [finished.take(Path(name)) for name in names] == [True] * 6 + [False]
    assert kept.unreadable == 4


def test_nothing_is_kept_from_parts_that_are_not_named(tmp_path: Path) -> None:
    parts = Parts(str(tmp_path / "faces.csv"))
    parts.prepare()
    parts.write(0, [Row("a.jpg", "unreadable").values()])
    kept = kept_inputs(parts, [])
    with contextlib.closing(kept.finished) as finished:
        assert not finished.take(Path("a.jpg"))
    assert kept.unreadable == 0
