from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_jax.errors import FerError
from fer_jax.scoring.journal import Journal
from fer_jax.scoring.rows import Row
from fer_jax.scoring.writers import read_rows
from tests.scoring.sample_rows import FACE, write_rows

OPTIONS = {"detector": "yunet", "fps": None}
INPUTS = [
    [FACE._replace(path="a"), FACE._replace(path="a", face=2)],
    [Row("b", "no_face")],
    [Row("c", "unreadable", error="empty")],
    [FACE._replace(path="a")],  # named a second time
]


def score(journal: Journal, inputs: list[list[Row]], *, stop_in: int | None = None) -> None:
    """Scores inputs as a run does, up to the middle of one of them."""
    for n, rows in enumerate(inputs):
        if journal.finished.take(Path(rows[0].path)):
            continue
        for row in rows:
            journal.write(row)
        if n == stop_in:
            return
        journal.close_input(Path(rows[0].path), rows[-1].status)


def content(journal: Journal) -> bytes:
    journal.flush()
    return journal.path.read_bytes()


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_journal_cut_anywhere_resumes_to_the_same_output(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("journal")
    out = folder / "faces.csv"
    with Journal(out, OPTIONS, resume=False) as journal:
        score(journal, INPUTS, stop_in=data.draw(st.integers(0, len(INPUTS) - 1)))
        written = content(journal)
    cut = written[: data.draw(st.integers(0, len(written)))]
    journal.path.write_bytes(cut + data.draw(st.sampled_from([b"", b"\0" * 64, b'["half'])))

    with Journal(out, OPTIONS, resume=True) as journal:
        score(journal, INPUTS)
        assert sum(journal.inputs.values()) == len(INPUTS)
        assert journal.faces == 3
        journal.deliver()
        journal.remove()
    assert list(read_rows(out)) == [row for rows in INPUTS for row in rows]
    assert list(folder.iterdir()) == [out]


def test_a_finished_output_gains_only_new_inputs(tmp_path):
    out = tmp_path / "faces.jsonl"
    write_rows(out, INPUTS[0])
    with Journal(out, OPTIONS, resume=True) as journal:
        score(journal, INPUTS)
        journal.deliver()
        journal.remove()
    assert [row.path for row in read_rows(out)] == ["a", "a", "b", "c"]


def test_a_kill_between_replacing_the_output_and_deleting_the_journal_repeats_nothing(tmp_path):
    out = tmp_path / "faces.csv"
    write_rows(out, INPUTS[1])
    with Journal(out, OPTIONS, resume=True) as journal:
        score(journal, INPUTS)
        written = content(journal)
        journal.deliver()
        journal.remove()
    whole = out.read_bytes()
    journal.path.write_bytes(written)
    with Journal(out, OPTIONS, resume=True) as journal:
        score(journal, INPUTS)
        journal.deliver()
        journal.remove()
    assert out.read_bytes() == whole


def test_other_options_and_a_second_run_are_refused_with_the_difference(tmp_path):
    out = tmp_path / "faces.csv"
    with Journal(out, OPTIONS, resume=False) as journal:
        score(journal, INPUTS, stop_in=2)
        with pytest.raises(FerError, match="another run is writing"):
            Journal(out, OPTIONS, resume=True)
    with pytest.raises(FerError, match=r"had fps None, this one has 5\.0"):
        Journal(out, {**OPTIONS, "fps": 5.0}, resume=True)
    header = json.loads(journal.path.read_text().splitlines()[0])
    assert header["options"] == OPTIONS  # the refusals left it unchanged


def test_without_resume_an_interrupted_run_is_dropped_and_an_empty_one_leaves_nothing(tmp_path):
    out = tmp_path / "faces.csv"
    with Journal(out, OPTIONS, resume=False) as journal:
        score(journal, INPUTS, stop_in=2)
    with Journal(out, OPTIONS, resume=False) as journal:
        assert journal.discarded
        assert not journal.finished.take(Path("b"))
    assert not any(tmp_path.iterdir())
