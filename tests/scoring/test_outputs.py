"""Outputs that cannot be written, before the run and at its end."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from fer_jax.scoring import run as scoring_run
from fer_jax.scoring.writers import read_rows
from tests.faces.sample_media import PHOTO


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_two_outputs_linked_to_one_file_are_refused(run, tmp_path, link):
    (tmp_path / "f.csv").touch()
    link(tmp_path / "f.csv", tmp_path / "s.html")
    code, _, said = run(PHOTO, "--out", tmp_path / "f.csv", "--summary", tmp_path / "s.html")
    assert (code, len(said.splitlines())) == (2, 1)
    assert "are the same file" in said


@pytest.mark.parametrize("named", ["photo.jpg", "*.jpg", "in", "-"])
def test_annotated_copies_never_replace_their_originals(run, tmp_path, monkeypatch, named):
    (tmp_path / "in").mkdir()
    for place in (tmp_path, tmp_path / "in"):
        shutil.copy(PHOTO, place / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    if named == "-":
        (tmp_path / "list").write_text("photo.jpg\n")
        stdin = os.open(tmp_path / "list", os.O_RDONLY)
        before = os.dup(0)
        os.dup2(stdin, 0)
        os.close(stdin)
    try:
        code, _, said = run(named, "--out", "f.csv", "--annotate", ".")
    finally:
        if named == "-":
            os.dup2(before, 0)
            os.close(before)
    assert (code, len(said.splitlines())) == (2, 1)
    assert "replace" in said or "would be inputs" in said
    for place in (tmp_path, tmp_path / "in"):
        assert (place / "photo.jpg").read_bytes() == PHOTO.read_bytes()


def while_it_runs(monkeypatch, action) -> None:
    """Runs an action after all inputs are scored and before anything is written."""
    page = scoring_run._summary_page

    def acting(*arguments):
        action()
        return page(*arguments)

    monkeypatch.setattr(scoring_run, "_summary_page", acting)


def test_a_page_that_fails_at_the_end_costs_no_rows_and_can_be_written_later(
    run, tmp_path, monkeypatch
):
    folder, out = tmp_path / "pages", tmp_path / "faces.csv"
    folder.mkdir()
    with monkeypatch.context() as patch:
        while_it_runs(patch, folder.rmdir)
        code, _, said = run(PHOTO, "--out", out, "--summary", folder / "s.html")
    assert (code, len(said.splitlines())) == (2, 1)
    assert f"{folder}/s.html: cannot be written" in said
    assert f"{out} is complete" in said
    assert "--resume" in said
    (row,) = read_rows(out)
    assert row.status == "ok"
    page = tmp_path / "s.html"
    assert run(PHOTO, "--out", out, "--summary", page, "--resume")[0] == 0
    assert "data:image/jpeg" in page.read_text()
    assert list(read_rows(out)) == [row]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["faces.csv", "s.html"]


def test_no_advice_names_rows_that_were_only_printed(run, tmp_path, monkeypatch):
    folder = tmp_path / "pages"
    folder.mkdir()
    while_it_runs(monkeypatch, folder.rmdir)
    code, said, complaints = run(PHOTO, "--summary", folder / "s.html")
    assert (code, said) == (2, "")
    assert f"{folder}/s.html: cannot be written" in complaints
    assert "--resume" not in complaints
    assert "complete" not in complaints


def test_rows_that_cannot_be_delivered_wait_for_a_resumed_run(run, tmp_path, monkeypatch):
    out, line = tmp_path / "faces.csv", ("--summary", tmp_path / "s.html")
    with monkeypatch.context() as patch:
        while_it_runs(patch, out.mkdir)
        code, _, said = run(PHOTO, "--out", out, *line)
    assert (code, len(said.splitlines())) == (2, 1)
    assert f"{out}: cannot be written" in said
    assert "--resume" in said
    out.rmdir()
    code, said, _ = run(PHOTO, "--out", out, *line, "--resume")
    assert (code, len(list(read_rows(out)))) == (0, 1)
    assert "0.0 files/s" in said


def test_strict_counts_unreadable_rows_that_were_kept(run, tmp_path):
    (tmp_path / "text.jpg").write_text("no image")
    line = (tmp_path / "text.jpg", PHOTO, "--out", tmp_path / "f.jsonl", "--strict")
    assert run(*line)[0] == 1
    code, said, _ = run(*line, "--resume")
    assert code == 1
    assert "1 more among the rows that were kept" in said
    rows = (tmp_path / "f.jsonl").read_text().splitlines()
    assert [json.loads(row)["status"] for row in rows] == ["unreadable", "ok"]


def test_an_unwritable_copy_ends_in_one_line_and_the_rest_is_kept(run, tmp_path):
    marked = tmp_path / "marked"
    (tmp_path / "in").mkdir()
    shutil.copy(PHOTO, tmp_path / "in" / "photo.jpg")
    marked.mkdir()
    (marked / "in").write_text("a file where a folder has to be")
    line = (tmp_path / "in", "--out", tmp_path / "f.csv")
    code, _, said = run(*line, "--annotate", marked)
    assert (code, len(said.splitlines())) == (2, 1)
    assert "cannot be written" in said
    assert "--resume" in said
    assert run(*line, "--resume")[0] == 0
    assert len(list(read_rows(tmp_path / "f.csv"))) == 1


def test_a_file_name_reaches_the_terminal_without_control_characters(run, tmp_path):
    (tmp_path / "\x1b[31mred\x9b.jpg").write_text("no image")
    code, said, complaints = run(tmp_path, "--out", tmp_path / "\x1b[2J.csv")
    assert code == 1
    assert (tmp_path / "\x1b[2J.csv").is_file()
    assert (said + complaints).replace("\n", "").isprintable()
    assert Path(tmp_path / "\\x1b[2J.csv").name in said


LONG = 300 * "x"  # longer than file systems allow


@pytest.mark.parametrize("flag", ["--out", "--summary", "--annotate"])
def test_a_name_that_the_system_refuses_is_rejected_before_any_work(run, tmp_path, flag):
    outputs = {"--out": "f.csv", flag: f"{LONG}.{'html' if flag == '--summary' else 'csv'}"}
    line = [part for one, name in outputs.items() for part in (one, tmp_path / name)]
    code, _, said = run(PHOTO, *line)
    assert (code, len(said.splitlines())) == (2, 1)
    assert "file name too long" in said.lower()


@pytest.mark.parametrize("kind", ["long", "loop"])
def test_an_input_that_the_system_refuses_affects_no_other(run, tmp_path, kind):
    bad = tmp_path / {"long": LONG, "loop": "loop.jpg"}[kind]
    if kind == "loop":
        bad.symlink_to(bad)
    code, _, said = run(bad, PHOTO, "--out", tmp_path / "f.csv")
    assert code == 0, said
    first, second = read_rows(tmp_path / "f.csv")
    assert (first.status, second.status) == ("unreadable", "ok")
    assert first.error
