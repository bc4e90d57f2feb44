"""The command: on real images, on bad files, killed, stopped, and with wrong arguments."""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from fer_jax.media.video import VideoReader
from fer_jax.scoring.rows import COLUMNS, Row, path_from_text
from fer_jax.scoring.table import table
from fer_jax.scoring.writers import read_rows
from tests.faces.sample_media import PHOTO, frames, photo, shared_media, write_video
from tests.factories import pattern_faces

ROOT = Path(__file__).resolve().parents[1]

# The real command, except that it reports progress after every file.
TALKATIVE = (
    "import sys; from fer_jax import command, score; from fer_jax.scoring import progress; "
    "progress.PLAIN_EVERY_S = 0.0; sys.exit(command.run(score.main))"
)


def huge_jpeg() -> bytes:
    """Only a header, which claims 60,000 x 60,000 pixels."""
    frame = struct.pack(
        ">2sHBHHB9B", b"\xff\xc0", 17, 8, 60000, 60000, 3, 1, 34, 0, 2, 17, 1, 3, 17, 1
    )
    return b"\xff\xd8" + frame + b"\xff\xd9"


def animated_gif() -> bytes:
    """The photograph, then nothing but grey."""
    file = io.BytesIO()
    first = Image.fromarray(photo())
    first.save(file, "GIF", save_all=True, append_images=[Image.new("RGB", first.size, "grey")])
    return file.getvalue()


def avif() -> bytes:
    file = io.BytesIO()
    Image.fromarray(photo()).save(file, "AVIF", speed=10)
    return file.getvalue()


def test_the_photograph_has_one_face_at_the_expected_place(run, tmp_path):
    out = tmp_path / "faces.csv"
    code, said, complaints = run(PHOTO, "--out", out)
    assert (code, complaints) == (0, "")
    assert "1 face in 1 file: 1 ok, 0 no_face, 0 unreadable" in said
    (row,) = read_rows(out)
    assert path_from_text(row.path) == PHOTO
    x, y, width, height = row.box
    assert x < 265 < x + width
    assert y < 220 < y + height
    assert row.detection_score > 0.8
    assert sum(row.probabilities) == pytest.approx(1, abs=1e-5)
    assert max(row.probabilities) == row.confidence
    assert (row.track, row.frame, row.smoothed) == (None, None, None)


def bad_inputs(folder: Path) -> dict[str, str | None]:
    """Fills a folder; returns a part of each input's reason by name, None for readable ones."""
    jpeg = PHOTO.read_bytes()
    png = cv2.imencode(".png", photo())[1].tobytes()
    whole = write_video(folder / "whole.avi", frames(30), codec="MJPG", fps=10).read_bytes()
    contents: dict[bytes, tuple[bytes, str | None]] = {
        b"text.jpg": (b"I am not an image.\n", "not an image"),
        b"cut.jpg": (jpeg[: len(jpeg) // 2], "cut short"),
        b"cut.png": (png[: len(png) // 2], "cut short"),
        b"bomb.jpg": (huge_jpeg(), "60000 x 60000"),
        b"zero.png": (b"", "empty"),
        b"moving.gif": (animated_gif(), None),
        b"photo.avif": (avif(), None),
        b"raw.nef": (cv2.imencode(".tif", photo())[1].tobytes(), "raw camera file"),
        b"drawing.svg": (b"<svg/>", "not an image"),
        b"with space.jpg": (jpeg, None),
        b"new\nline.jpg": (jpeg, None),
        b"not utf-8 \xff.jpg": (jpeg, None),
        b"cut.avi": (whole[: len(whole) // 2], "cut short"),
        b"no frames.avi": (whole[:300], "no frame"),
        b"whole.avi": (whole, None),
    }
    for name, (content, _) in contents.items():
        (folder / os.fsdecode(name)).write_bytes(content)
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    (folder / "gone.jpg").symlink_to(folder / "nowhere.jpg")
    reasons = {os.fsdecode(name): reason for name, (_, reason) in contents.items()}
    reasons["gone.jpg"] = "no such file"
    if os.geteuid() != 0:
        (folder / "secret.jpg").write_bytes(jpeg)
        (folder / "secret.jpg").chmod(0)
        reasons["secret.jpg"] = "permission denied"
    return reasons


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_every_bad_input_has_a_row_with_its_reason_and_the_run_goes_on(run, tmp_path, ending):
    folder = tmp_path / "inputs"
    folder.mkdir()
    reasons = bad_inputs(folder)
    out = tmp_path / f"faces.{ending}"
    code, said, complaints = run(folder, "--out", out, "--every", 15, "--strict")
    assert code == 1
    assert "Traceback" not in complaints
    rows: dict[str, list[Row]] = {}
    for row in read_rows(out):
        rows.setdefault(path_from_text(row.path).name, []).append(row)
    assert rows.keys() == reasons.keys()
    for name, reason in reasons.items():
        last = rows[name][-1]
        if reason is None:
            assert last.status == ("no_face" if name == "whole.avi" else "ok"), name
        else:
            assert last.status == "unreadable", name
            assert reason in last.error, name
    assert [row.frame for row in rows["moving.gif"]] == [0]  # of two frames, one with a face
    unreadable = sum(reason is not None for reason in reasons.values())
    assert f"1 no_face, {unreadable} unreadable" in said


def crops(folder: Path, count: int) -> list[Path]:
    """Face crops with long names, so that a list of them exceeds a pipe's first read."""
    folder.mkdir()
    paths = []
    for n, image in enumerate(pattern_faces(count).images):
        paths.append(folder / f"{n:03}-{'long' * 50}.png")
        cv2.imwrite(str(paths[-1]), image)
    return paths


def start(checkpoint: Path, *arguments: object) -> subprocess.Popen[bytes]:
    line = ["-", *map(str, arguments), "--checkpoint", str(checkpoint), "--batch-size", "4"]
    return subprocess.Popen(
        [sys.executable, "-c", TALKATIVE, *line, "--detector", "none"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def give(process: subprocess.Popen[bytes], paths: Iterable[Path]) -> None:
    """Writes names to the list that the command reads and keeps the list open."""
    process.stdin.write(b"".join(os.fsencode(path) + b"\n" for path in paths))
    process.stdin.flush()


def until(process: subprocess.Popen[bytes], files: int) -> None:
    """Reads the process's output until it has finished that many files."""
    said = b""
    for line in process.stdout:
        said += line
        found = re.match(rb"(\d+) files", line)
        if found and int(found[1]) >= files:
            return
    raise AssertionError(f"it never finished {files} files:\n{said.decode()}")


def assert_same(rows: list[Row], expected: list[Row]) -> None:
    """Equal up to the last digit: a batch of another size may round differently."""
    for row, other in zip(rows, expected, strict=True):
        for name, a, b in zip(COLUMNS, row.values(), other.values(), strict=True):
            assert a == (pytest.approx(b, abs=1e-5) if isinstance(b, float) else b), name


def test_a_killed_and_a_stopped_run_resume_to_the_output_of_one_never_stopped(
    run, checkpoint, tmp_path
):
    paths = crops(tmp_path / "crops", 60)
    paths[7].write_text("no image")
    whole, out = tmp_path / "whole.csv", tmp_path / "faces.csv"
    assert run(tmp_path / "crops", "--out", whole, "--detector", "none")[0] == 0

    process = start(checkpoint, "--out", out)
    give(process, paths[:30])
    until(process, 10)
    process.kill()
    process.communicate()
    assert not out.exists()

    process = start(checkpoint, "--out", out, "--resume")
    give(process, paths[:50])
    until(process, 10)
    process.send_signal(signal.SIGTERM)
    with process:
        said = process.stdout.read().decode()
    assert process.returncode == 128 + signal.SIGTERM
    assert "--resume" in said.splitlines()[-1]
    assert "Traceback" not in said
    assert not out.exists()

    process = start(checkpoint, "--out", out, "--resume")
    said, _ = process.communicate(b"".join(os.fsencode(path) + b"\n" for path in paths), 120)
    assert process.returncode == 0, said
    assert b"60 files: 59 ok, 0 no_face, 1 unreadable" in said.splitlines()[-1]
    assert_same(list(read_rows(out)), list(read_rows(whole)))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["crops", "faces.csv", "whole.csv"]


def test_appending_scores_only_new_inputs_and_a_rerun_scores_none(run, tmp_path):
    paths = crops(tmp_path / "crops", 6)
    out = tmp_path / "faces.jsonl"
    line = ("--out", out, "--detector", "none", "--append")
    assert run(*paths[:4], *line)[0] == 0
    first = list(read_rows(out))
    code, said, _ = run(*paths, *line)
    assert code == 0
    assert "2 faces in 2 files" in said
    rows = list(read_rows(out))
    assert rows[:4] == first
    assert [path_from_text(row.path) for row in rows] == paths
    assert "0 faces in 0 files" in run(*paths, *line)[1]
    assert list(read_rows(out)) == rows


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["{empty}", "--out", "{tmp}/f.csv"], "holds no image"),
        (["{tmp}/*.jpg", "--out", "{tmp}/f.csv"], "no input matched"),
        (["{photo}", "--out", "{tmp}/f.txt"], ".csv, .jsonl or .parquet"),
        (["{photo}", "--out", "{tmp}/f.csv", "--every", "0"], "1 or more"),
        (["{photo}", "--out", "{tmp}/f.csv", "--detect-size", "9"], "32 or more"),
        (["{photo}", "--out", "{tmp}/f.csv", "--summary", "{tmp}/no/s.html"], "--summary"),
        (["{photo}", "--out", "{tmp}/f.csv", "--summary", "/proc/s.html"], "cannot be written"),
        (["{photo}", "--out", "/proc/f.csv"], "cannot be written"),
        (["{photo}", "--out", "{tmp}/f.csv", "--summary", "/dev/null"], "not a regular file"),
        (["{photo}", "--out", "{tmp}/f.csv", "--annotate", "/proc/copies"], "cannot be made"),
        (["{photo}", "--out", "{tmp}/f.csv", "--annotate", "/"], "its copy could replace"),
        (["{photo}", "--out", "{tmp}/f.csv", "--summary", "{tmp}/f.csv"], "are the same file"),
        (["{photo}", "--out", "{tmp}/f.csv", "--summary", "{photo}"], "is an input"),
        (["{tmp}", "--out", "{tmp}/f.csv", "--annotate", "{tmp}/marked"], "outside"),
        (["{photo}", "--out", "{tmp}/f.csv", "--resume", "--fsp", "3"], "--help"),
    ],
)
def test_a_users_mistake_ends_in_one_line_and_exit_code_2(run, tmp_path, line, said):
    (tmp_path / "empty").mkdir()
    places = {"tmp": tmp_path, "empty": tmp_path / "empty", "photo": PHOTO}
    code, printed, complaints = run(*(argument.format(**places) for argument in line))
    assert (code, printed) == (2, "")
    assert said in complaints
    assert len(complaints.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


class Page(HTMLParser):
    """A page's text and the resources that a browser would fetch."""

    def __init__(self, html: str):
        super().__init__()
        self.fetched: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [value or "" for name, value in attrs if name in ("src", "href", "srcset")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_annotated_copies_and_a_summary_can_be_viewed(run, tmp_path):
    inputs = tmp_path / "in"
    inputs.mkdir()
    shutil.copy(PHOTO, inputs / "<b>hopper.jpg")
    turned = [np.roll(photo()[:599, :511], 4 * n, axis=1) for n in range(6)]  # odd sides, too
    write_video(inputs / "walk.avi", turned, codec="MJPG", fps=10)
    (inputs / "text.png").write_text("no image")
    marked, summary = tmp_path / "marked", tmp_path / "summary.html"
    out = tmp_path / "faces.csv"
    assert run(inputs, "--out", out, "--annotate", marked, "--summary", summary)[0] == 0

    below = marked / "in"
    copy = cv2.imread(str(below / "<b>hopper.jpg"), cv2.IMREAD_COLOR_RGB)
    assert copy.shape == photo().shape
    assert np.abs(copy.astype(int) - photo()).mean() > 1
    with VideoReader(below / "walk.avi.mp4") as video:
        assert len(list(video)) == 6
    assert len(list(below.iterdir())) == 2

    page = Page(summary.read_text("utf-8"))
    assert page.fetched
    assert all(address.startswith("data:image/jpeg;base64,") for address in page.fetched)
    assert "<b>hopper.jpg" in page.text
    assert "the file is not an image" in page.text
    assert "#1" in page.text
    assert {row.track for row in read_rows(out) if row.frame is not None} == {1}


def test_a_clip_gives_rows_in_time_and_its_sampled_frames_only(run, tmp_path):
    clip = shared_media("woman_phone.mp4")
    out = tmp_path / "faces.parquet"
    assert run(clip, "--out", out, "--every", 20)[0] == 0
    rows = list(read_rows(out))
    assert [row.frame for row in rows] == [0, 20, 40, 60, 80, 100]
    assert rows[-1].time_s == pytest.approx(100 / 24.7, abs=0.1)
    assert all(row.smooth_expression for row in rows)


def test_without_out_a_table_numbers_faces_as_the_annotated_copy_does(run, tmp_path):
    group = tmp_path / "group.png"
    cv2.imwrite(str(group), np.concatenate([photo(), photo()], axis=1)[..., ::-1])
    (tmp_path / "text.jpg").write_text("no image")
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((90, 90), 128, np.uint8))
    code, said, complaints = run(group, tmp_path / "text.jpg", tmp_path / "grey.png")
    assert code == 0
    heading, first, second, unreadable, none = said.splitlines()
    assert heading.split() == ["file", "face", "expression", "confidence", "next", "where"]
    lefts = [int(re.search(r"x (\d+),", line)[1]) for line in (first, second)]
    assert "  #1  " in first
    assert "  #2  " in second
    assert lefts[0] < 512 < lefts[1]
    assert "not an image" in unreadable
    assert "no face" in none
    assert "2 faces in 3 files" in complaints


def test_a_video_has_a_line_for_each_person_in_the_table(run, tmp_path):
    clip = tmp_path / "walk.avi"
    write_video(clip, [np.roll(photo(), 4 * n, axis=1) for n in range(4)], codec="MJPG", fps=10)
    said = run(clip, "--quiet")[1].splitlines()
    assert len(said) == 2
    assert "  #1  " in said[1]
    assert said[1].endswith("0.0 to 0.3 s, 4 frames")


def test_out_dash_prints_csv_and_nothing_else(run, tmp_path):
    out = tmp_path / "faces.csv"
    assert run(PHOTO, "--out", out)[0] == 0
    code, said, complaints = run(PHOTO, "--out", "-")
    assert code == 0
    assert said.encode() == out.read_bytes()
    assert "1 face in 1 file" in complaints
    assert run(PHOTO, "--out", "-", "--quiet") == (0, said, "")


def test_quiet_writes_the_file_and_prints_nothing(run, tmp_path):
    out = tmp_path / "faces.csv"
    assert run(PHOTO, "--out", out, "--quiet") == (0, "", "")
    assert len(list(read_rows(out))) == 1


def test_where_no_input_can_be_read_the_exit_code_is_1(run, tmp_path):
    text = tmp_path / "text.jpg"
    text.write_text("no image")
    assert run(text, "--out", tmp_path / "a.csv")[0] == 1
    assert run(text, PHOTO, "--out", tmp_path / "b.csv")[0] == 0


def test_resuming_without_a_file_to_continue_is_refused(run):
    code, said, complaints = run(PHOTO, "--resume")
    assert (code, said) == (2, "")
    assert "--out" in complaints


def test_safe_csv_is_refused_without_csv_output(run, tmp_path):
    (tmp_path / "=1+1.jpg").write_text("no image")
    line = (tmp_path / "=1+1.jpg", "--safe-csv")
    for out in ((), ("--out", tmp_path / "rows.jsonl")):
        code, said, complaints = run(*line, *out)
        assert (code, said) == (2, "")
        assert "--safe-csv: expected an --out that ends in .csv" in complaints
    assert run(PHOTO, *line, "--out", "-")[0] == 0


def test_the_table_reports_lost_frames_and_shows_no_control_character():
    rows = [Row("\x1b[2J.avi", "note", error="1 of 9 frames could not be decoded")]
    heading, line = table(rows).splitlines()
    assert heading.isprintable()
    assert line.split(maxsplit=3) == ["\\x1b[2J.avi", "-", "note", rows[0].error]
