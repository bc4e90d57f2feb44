"""Files of rows: what is read and what is refused."""

import os
from pathlib import Path

import pytest

from fer_jax.errors import FerError
from fer_jax.machine.files import append_row, read_rows


def test_a_row_that_a_killed_process_left_unfinished_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    assert read_rows(path) == []
    append_row(path, {"step": 1})
    append_row(path, {"step": 2})
    path.write_text(path.read_text()[:-3])
    assert read_rows(path) == [{"step": 1}]


def test_a_damaged_row_is_named_by_file_and_line_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"step": 1}\n{"step": \n{"step": 3}\n')
    with pytest.raises(FerError, match=r"rows\.jsonl:2: not valid JSON \(.*\); repair the file"):
        read_rows(path)


def test_a_pipe_of_rows_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "rows.jsonl")
    with pytest.raises(FerError, match="not a regular file"):
        read_rows(tmp_path / "rows.jsonl")
