from __future__ import annotations

import os
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from fer_jax.expressions import EXPRESSIONS
from fer_jax.scoring.rows import COLUMNS, Row, path_from_text, path_text, row_of
from tests.scoring.sample_rows import FACE

names = st.binary(min_size=1, max_size=40).filter(lambda name: b"\0" not in name)


@given(names)
@example(b"new\nline \xff \\x0a \xc2\x85 \xe2\x80\xa8.jpg")
def test_every_file_name_survives_as_one_line_of_text(name):
    path = Path(os.fsdecode(name))
    text = path_text(path)
    assert len(text.splitlines()) <= 1
    assert path_from_text(text.encode("utf-8").decode("utf-8")) == path


def test_ordinary_names_stay_unchanged():
    for name in ("/data/photo 1.jpg", "Müller/été.png", '100%, "quoted".jpg', "顔\u00a0.webp"):
        assert path_text(Path(name)) == name


def test_columns_are_in_the_documented_order_and_hold_their_row():
    assert list(COLUMNS) == [
        *("path", "frame", "time_s", "face", "track", "x", "y", "width", "height"),
        *("detection_score", "expression", "confidence", "uncertain", "quality"),
        *EXPRESSIONS,
        *("status", "error", *(f"smooth_{name}" for name in EXPRESSIONS), "smooth_expression"),
    ]
    record = dict(zip(COLUMNS, FACE.values(), strict=True))
    assert (record["y"], record["happy"], record["smooth_neutral"]) == (2.0, 0.7, 0.2)
    for row in (FACE, Row("b", "no_face"), Row("c", "unreadable", error="empty")):
        assert row_of(row.values()) == row
        for value, kind in zip(row.values(), COLUMNS.values(), strict=True):
            assert value is None or type(value) is kind
