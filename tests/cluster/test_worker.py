"""A worker without a cluster: its parts, the failures it survives, and videos in shares."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_jax.cluster.kept import kept_inputs
from fer_jax.cluster.parts import Parts
from fer_jax.cluster.shares import share_table
from fer_jax.cluster.units import Unit, units
from fer_jax.cluster.worker import Job, ScoringWorker, stitch
from fer_jax.errors import FerError, OutputError
from fer_jax.scoring.rows import Row, row_of
from tests.faces.sample_media import PHOTO, photo, write_video
from tests.media.sample_shards import write_tar

fsspec = pytest.importorskip("fsspec")

from tests.cluster.refusing_store import StoreError  # noqa: E402  needs fsspec


def rows(parts: Parts, number: int) -> list[Row]:
    return [row_of(values) for values in parts.values(number)]


@pytest.fixture
def parts(job: Job) -> Parts:
    parts = Parts(job.out)
    parts.prepare()
    parts.take_over(job.run, {"every": job.every})
    return parts


@pytest.fixture
def memory() -> Iterator[str]:
    files = fsspec.filesystem("memory")
    files.pipe("/b/1.jpg", PHOTO.read_bytes())
    files.pipe("/b/2.jpg", b"")
    yield "memory://b"
    files.rm("/b", recursive=True)


@pytest.fixture
def started() -> Iterator[Callable[[Job], ScoringWorker]]:
    with contextlib.ExitStack() as stack:
        yield lambda job: stack.enter_context(ScoringWorker(job))


def test_files_uris_and_shards_give_rows_in_order(started, job, parts, memory, tmp_path):
    (tmp_path / "text.png").write_text("no image")
    write_tar(tmp_path / "s.tar", {"a.jpg": PHOTO.read_bytes(), "b.jpg": b"x"})
    inputs = [str(PHOTO), f"{memory}/1.jpg", f"{memory}/2.jpg", f"{memory}/3.jpg", "text.png"]
    worker = started(job)
    found = worker.score(Unit(0, [*inputs, "s.tar"]))
    found_rows = rows(parts, 0)
    errors = [row.error and row.error.partition(";")[0] for row in found_rows]
    assert [(row.path, row.status) for row in found_rows] == [
        (str(PHOTO), "ok"),
        (inputs[1], "ok"),
        (inputs[2], "unreadable"),
        (inputs[3], "unreadable"),
        ("text.png", "unreadable"),
        ("s.tar#a.jpg", "ok"),
        ("s.tar#b.jpg", "unreadable"),
    ]
    assert [error for error in errors if error] == [
        "the file is empty",
        "no such file",
        "the file is not an image that can be read",
        "the file is not an image that can be read",
    ]
    assert (found["ok"], found["no_face"], found["unreadable"], found["faces"]) == (3, 0, 4, 3)


def test_rotated_images_and_animations_are_read_as_the_flags_say(started, job, parts, tmp_path):
    upright = photo()
    Image.fromarray(np.rot90(upright)).save(tmp_path / "turned.png")
    still = Image.fromarray(upright)
    still.save(tmp_path / "two.gif", save_all=True, append_images=[still.rotate(3)])
    started(dataclasses.replace(job, rotate=True)).score(Unit(0, ["turned.png", "two.gif"]))
    found = [(row.path, row.status, row.frame) for row in rows(parts, 0)]
    assert sorted(found[:2]) == [("turned.png", "note", None), ("turned.png", "ok", None)]
    assert found[2:] == [("two.gif", "ok", 0), ("two.gif", "ok", 1)]
    started(dataclasses.replace(job, first_frame=True)).score(Unit(1, ["two.gif"]))
    assert [(row.path, row.status, row.frame) for row in rows(parts, 1)] == [
        ("two.gif", "ok", None)
    ]


def test_a_file_that_crashes_its_decoder_costs_only_its_own_row(started, job, parts):
    worker = started(job)
    worker.score(Unit(0, [str(PHOTO)]))
    (decoder,) = worker._decoders
    os.kill(decoder.pid, signal.SIGSEGV)
    worker.score(Unit(1, [str(PHOTO)] * 2))
    first, second = rows(parts, 1)
    assert (first.status, second.status) == ("unreadable", "ok")
    assert "decoder crashed (SIGSEGV)" in first.error


def test_a_unit_scored_twice_appears_once(started, job, parts):
    worker = started(job)
    for _ in range(2):
        worker.score(Unit(4, [str(PHOTO)]))
    assert parts.numbers() == [4]
    assert list(parts.statuses(4)) == [(str(PHOTO), "ok")]
    assert not [path for path in Path(job.out).iterdir() if path.name.startswith(".")]


def test_a_run_stops_writing_once_taken_over(started, job, parts):
    parts.take_over("two", {"every": job.every})
    worker = started(job)
    for unit in (Unit(0, [str(PHOTO)]), Unit(1, ["x.mp4"], 0, 2)):
        with pytest.raises(FerError, match="taken it over"):
            worker.score(unit)
    assert parts.numbers() == []


def test_an_output_with_other_options_is_not_resumed(job, parts):
    with pytest.raises(FerError, match="every 1, not 2"):
        parts.take_over("two", {"every": 2})


def test_parts_in_remote_storage_work_like_parts_in_a_folder(started, job, memory):
    elsewhere = dataclasses.replace(job, out=f"{memory}/faces.csv")
    parts = Parts(elsewhere.out)
    parts.prepare()
    assert not parts.take_over(job.run, {})
    started(elsewhere).score(Unit(0, [str(PHOTO)]))
    assert parts.numbers() == [0]
    assert [row.path for row in rows(parts, 0)] == [str(PHOTO)]
    assert parts.take_over("two", {})


def test_an_input_refused_by_the_storage_gets_a_row_and_affects_no_other(
    started, job, parts, store
):
    names = ["1.jpg", "2.jpg", "3.mp4", "4.tar", "5.jpg"]
    fsspec.filesystem("az").pipe({f"b/{name}": PHOTO.read_bytes() for name in names})
    store.refused["open", "1.jpg"] = StoreError("HTTP 403\nno right")
    store.refused["read", "3.mp4"] = KeyError("etag")
    store.refused["read", "4.tar"] = ValueError("no credentials")
    worker = started(job)
    for number, part in enumerate((["1.jpg", "2.jpg"], ["3.mp4"], ["4.tar"], ["5.jpg"])):
        worker.score(Unit(number, [f"az://b/{name}" for name in part]))
    found = [row for number in range(4) for row in rows(parts, number)]
    assert [(row.path, row.status, row.error) for row in found] == [
        ("az://b/1.jpg", "unreadable", "StoreError: HTTP 403 no right"),
        ("az://b/2.jpg", "ok", None),
        ("az://b/3.mp4", "unreadable", "KeyError: 'etag'"),
        ("az://b/4.tar", "unreadable", "ValueError: no credentials"),
        ("az://b/5.jpg", "ok", None),
    ]


def test_an_unwritable_part_gives_one_line_and_leaves_nothing_behind(started, job, store):
    elsewhere = dataclasses.replace(job, out="az://b/faces.csv")
    parts = Parts(elsewhere.out)
    parts.prepare()
    parts.take_over(job.run, {})
    worker = started(elsewhere)
    line = "az://b/faces.csv: cannot be written (StoreError: HTTP 507 no room); name another place"
    for call in ("mkdir", "open", "write"):
        where = "faces.csv" if call == "mkdir" else "part-00000003.csv"
        store.refused[call, where] = StoreError("HTTP 507\nno room")
        (done,) = worker(Unit(3, [str(PHOTO)]).table()).to_pylist()
        assert (done["part"], done["ok"], done["failure"]) == (3, 0, line)
        assert parts.numbers() == []
        store.refused.clear()


def resumed(parts: Parts) -> list[tuple[str, str]]:
    parts.prepare()
    parts.take_over("two", {})
    return [seen for number in parts.numbers() for seen in parts.statuses(number)]


@pytest.mark.parametrize(
    ("call", "where"),
    [
        ("mkdir", "faces.csv"),
        ("info", "faces.csv"),
        ("find", "faces.csv"),
        ("write", "_try"),
        ("rm", "_try"),
        ("open", "_run.json"),
        ("read", "_run.json"),
        ("open", "part-00000000.csv"),
        ("rm", "_shares"),
    ],
)
def test_an_output_refused_by_the_storage_gives_one_line(store, call, where):
    parts = Parts("az://b/faces.csv")
    parts.prepare()
    parts.take_over("one", {})
    parts.write(0, [Row("a.jpg", "no_face").values()])
    fsspec.filesystem("az").pipe("b/faces.csv/_shares/x", b"x")
    store.refused[call, where] = StoreError("HTTP 403\nno right")
    with pytest.raises(FerError, match=r"az:.*cannot be .*StoreError: HTTP 403 no right") as told:
        resumed(parts)
    assert len(str(told.value).splitlines()) == 1


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_damaged_part_is_named_in_one_line(tmp_path, ending):
    parts = Parts(str(tmp_path / f"faces.{ending}"))
    parts.prepare()
    (tmp_path / f"faces.{ending}" / f"part-00000003.{ending}").write_bytes(b"{")
    with pytest.raises(OutputError, match=rf"part-00000003.{ending}: cannot be read .* remove it"):
        list(parts.statuses(3))


def test_a_node_with_another_network_is_refused(job):
    with pytest.raises(FerError, match="another network"):
        ScoringWorker(dataclasses.replace(job, digest="0"))


def without_figures(row: Row) -> Row:
    return row._replace(confidence=None, probabilities=None, smoothed=None)


def figures(row: Row) -> tuple[float, ...]:
    return row.confidence or 0.0, *(row.probabilities or ()), *(row.smoothed or ())


@pytest.mark.parametrize("every", [1, 3])
def test_a_video_in_shares_gives_the_rows_of_the_whole_video(started, job, parts, tmp_path, every):
    moving = [np.roll(photo(), 4 * n, axis=1) for n in range(12)]
    moving[5:5] = [np.zeros_like(moving[0])] * 15  # a face that returns after its track has ended
    write_video(tmp_path / "walk.avi", moving, codec="MJPG", fps=10)
    job = dataclasses.replace(job, every=every)
    worker = started(job)
    whole = worker.score(Unit(0, ["walk.avi"]))
    for share in (2, 0, 1):
        worker.score(Unit(1, ["walk.avi"], share, 3))
    assert stitch(job, 1, "walk.avi", 3) == whole
    expected = rows(parts, 0)
    for row, same in zip(rows(parts, 1), expected, strict=True):
        assert without_figures(row) == without_figures(same)
        assert figures(row) == pytest.approx(figures(same), abs=2e-5)  # batches of different sizes
    assert {row.track for row in expected} == {1, 2}
    assert stitch(job, 1, "walk.avi", 3) == whole  # like a retried task
    parts.drop_shares(job.run)
    assert list((Path(job.out) / "_shares").iterdir()) == []


def test_a_run_resumed_with_other_workers_splits_again_and_scores_each_input_once(
    started, job, parts, tmp_path
):
    names = ["a.mp4", "b.png", "walk.avi"]
    (tmp_path / "a.mp4").touch()
    Image.fromarray(photo()).save(tmp_path / "b.png")
    moving = [np.roll(photo(), 4 * n, axis=1) for n in range(12)]
    write_video(tmp_path / "walk.avi", moving, codec="MJPG", fps=10)

    def cut(left: list[str], workers: int, first: int) -> list[Unit]:
        def size(name: str) -> int:
            return (tmp_path / name).stat().st_size

        return [*units(left, first=first, workers=workers, byte_count=size, shortest_bytes=1000)]

    before = cut(names, 2, 0)
    assert {unit.shares for unit in before} == {1, 4}
    worker = started(job)
    for unit in before[:-1]:  # it dies before the video's last share
        worker.score(unit)
    going_on = dataclasses.replace(job, run="two")
    assert parts.take_over("two", {"every": job.every})
    kept = kept_inputs(parts, parts.numbers())
    with contextlib.closing(kept.finished) as finished:
        left = [name for name in names if not finished.take(Path(name))]
    assert left == ["walk.avi"]
    rest = cut(left, 3, parts.numbers()[-1] + 1)
    assert {unit.shares for unit in rest} == {6}
    other = started(going_on)
    for unit in rest:
        other.score(unit)
    # A worker of the first run was about to write when the run was taken over.
    parts.write_share(job.run, rest[0].part, 1, share_table([]))
    stitch(going_on, rest[0].part, "walk.avi", 6)
    found = [row for number in parts.numbers() for row in rows(parts, number)]
    assert [(row.path, row.status, row.frame) for row in found] == [
        ("a.mp4", "unreadable", None),
        ("b.png", "ok", None),
        *[("walk.avi", "ok", n) for n in range(12)],
    ]
