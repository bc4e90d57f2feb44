from __future__ import annotations

import csv
import json
import os
import sys
from pathlib import Path

import pytest

from fer_jax.errors import FerError
from fer_jax.scoring.rows import COLUMNS, Row, path_text
from fer_jax.scoring.writers import check_output, read_rows, write_values
from tests.scoring.sample_rows import FACE, write_rows

FORMATS = ("csv", "jsonl", "parquet")
NASTY = path_text(Path(os.fsdecode(b'line\nend, "quoted" \xff;\t=1+1.jpg')))
ROWS = [
    FACE,
    FACE._replace(path=NASTY, track=None, frame=None, uncertain=True, smoothed=None),
    Row(NASTY, "no_face"),
    Row("été.png", "unreadable", error='the image is cut, "short"'),
]


@pytest.mark.parametrize("ending", FORMATS)
def test_rows_survive_a_round_trip_through_every_format(tmp_path, ending):
    out = tmp_path / f"faces.{ending}"
    write_rows(out, ROWS)
    assert list(read_rows(out)) == ROWS
    write_rows(out, [])
    assert list(read_rows(out)) == []


def test_other_programs_read_the_formats_as_documented(tmp_path):
    import pyarrow.parquet as pq

    for ending in FORMATS:
        write_rows(tmp_path / f"faces.{ending}", ROWS)
    with (tmp_path / "faces.csv").open(newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert [row["uncertain"] for row in table] == ["false", "true", "", ""]
    assert table[0]["happy"] == "0.7"
    lines = (tmp_path / "faces.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["path"] for line in lines] == [row.path for row in ROWS]
    assert list(json.loads(lines[0])) == list(COLUMNS)
    frame = pq.read_table(tmp_path / "faces.parquet")
    assert frame.column("frame").to_pylist() == [12, None, None, None]
    assert str(frame.schema.field("uncertain").type) == "bool"


@pytest.mark.parametrize("ending", FORMATS)
def test_a_file_is_replaced_only_when_the_new_one_is_complete(tmp_path, ending):
    out = tmp_path / f"faces.{ending}"
    write_rows(out, ROWS)
    before = out.read_bytes()

    def failing():
        yield from ROWS * 3000
        assert out.read_bytes() == before
        raise RuntimeError("the rows end here")

    with pytest.raises(RuntimeError, match="end here"):
        write_rows(out, failing())
    assert out.read_bytes() == before
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("ending", FORMATS)
def test_a_file_of_other_content_is_refused_by_name(tmp_path, ending):
    out = tmp_path / f"mine.{ending}"
    out.write_text("name,age\nGrace,85\n")
    with pytest.raises(FerError, match=rf"mine\.{ending}.*--append"):
        list(read_rows(out))


def test_unwritable_outputs_are_refused_with_what_to_do(tmp_path, monkeypatch):
    with pytest.raises(FerError, match=r"\.csv, \.jsonl or \.parquet"):
        check_output(tmp_path / "faces.xlsx")
    with pytest.raises(FerError, match="create it first"):
        check_output(tmp_path / "nowhere" / "faces.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(FerError, match="is a folder"):
        check_output(tmp_path / "folder.csv")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(FerError, match=r"fer_jax\[parquet\]"):
        check_output(tmp_path / "faces.parquet")


def test_a_safe_csv_holds_no_formula_and_reads_back_unchanged(tmp_path):
    paths = ["=cmd()|x", "+1", "-1.jpg", "@sum", "'=quoted.jpg", "''twice", "'plain.jpg", "a=b"]
    rows = [FACE._replace(path=path) for path in paths]
    rows.append(Row("x.jpg", "unreadable", error="\t=1"))
    out = tmp_path / "faces.csv"
    for safe in (True, False):
        write_values(out, (row.values() for row in rows), safe_csv=safe)
        assert list(read_rows(out)) == rows
        with out.open(newline="", encoding="utf-8") as file:
            table = list(csv.DictReader(file))
        cells = [row[name] for row in table for name in ("path", "error")]
        formulas = [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
        assert formulas == ([] if safe else [*paths[:4], "\t=1"])
        assert table[0]["x"] == str(FACE.box[0])  # a number stays a number, even below zero
