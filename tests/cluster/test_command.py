"""The command on a real cluster of two nodes: same results as one process, also when a node dies."""

from __future__ import annotations

import collections
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import pyarrow.dataset
import pytest

from fer_jax import command, score
from fer_jax.scoring.rows import COLUMNS, path_from_text
from fer_jax.scoring.writers import read_values
from tests.faces.sample_media import PHOTO, photo, write_video
from tests.factories import pattern_faces
from tests.media.sample_shards import write_parquet, write_tar

# Ray forks and leaves processes and files to the garbage collector.
pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore")]

ROOT = Path(__file__).resolve().parents[2]
TALKATIVE = (
    "import sys; from fer_jax import command, score; from fer_jax.scoring import progress; "
    "progress.PLAIN_EVERY_S = 0.0; sys.exit(command.run(score.main))"
)


def start(cluster: Any, checkpoint: Path, *line: object) -> subprocess.Popen[str]:
    more = ["--engine", "ray", "--address", cluster.address, "--checkpoint", checkpoint]
    return subprocess.Popen(
        [sys.executable, "-c", TALKATIVE, *map(str, [*line, *more]), "--batch-size", "4"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ended(process: subprocess.Popen[str], *, code: int = 0) -> str:
    said, _ = process.communicate(timeout=240)
    assert process.returncode == code, said
    return said.splitlines()[-1]


def inputs(folder: Path) -> list[object]:
    """Photographs, a video, shards, and unreadable files."""
    folder.mkdir()
    photograph = PHOTO.read_bytes()
    (folder / "photo.jpg").write_bytes(photograph)
    (folder / "not utf-8 \udcff.jpg").write_bytes(photograph)
    (folder / "cut.jpg").write_bytes(photograph[:20_000])
    (folder / "text.png").write_text("no image")
    (folder / "empty.jpg").touch()
    cv2.imwrite(str(folder / "grey.png"), photo()[:90, :90] // 255)
    walk = [photo()] * 3 + [photo()[:, ::-1]] * 2
    write_video(folder / "walk.avi", walk, codec="MJPG", fps=10)
    tar = write_tar(folder.parent / "s.tar", {"a.jpg": photograph, "a.json": b"{}", "b.jpg": b""})
    parquet = write_parquet(folder.parent / "s.parquet", [photograph, None])
    (folder.parent / "text.tar").write_text("no shard")
    return [folder, tar, parquet, folder.parent / "text.tar", folder.parent / "gone.jpg"]


def values_of(out: Path) -> list[list[Any]]:
    return [values for part in sorted(out.glob("part-*")) for values in read_values(part)]


@pytest.mark.timeout(420)
def test_both_engines_write_the_same_rows_and_a_rerun_does_only_what_is_left(
    two_nodes, checkpoint, tmp_path
):
    named = inputs(tmp_path / "in")
    local, out = tmp_path / "local.parquet", tmp_path / "faces.parquet"
    process = start(two_nodes, checkpoint, *named, "--out", out)
    line = [*map(str, named), "--out", str(local), "--checkpoint", str(checkpoint)]
    assert command.run(score.main, [*line, "--batch-size", "4", "--quiet"]) == 0
    said = ended(process)
    expected, found = list(read_values(local)), values_of(out)
    assert len(expected) == 17
    for values, other in zip(found, expected, strict=True):
        assert dict(zip(COLUMNS, values, strict=True)) == {
            name: pytest.approx(value, abs=1e-5) if isinstance(value, float) else value
            for name, value in zip(COLUMNS, other, strict=True)
        }
    assert "in 13 files: 5 ok, 1 no_face, 7 unreadable" in said
    table = pyarrow.dataset.dataset(out).to_table()
    assert table.column_names == list(COLUMNS)
    assert table.num_rows == len(expected)

    lost = out / "part-00000000.parquet"
    missing = len(list(read_values(lost)))
    lost.unlink()
    assert f"in {missing} files" in ended(start(two_nodes, checkpoint, *named, "--out", out))
    assert sorted(values[0] for values in values_of(out)) == sorted(values[0] for values in found)
    again = ended(start(two_nodes, checkpoint, *named, "--out", out, "--strict"), code=1)
    assert "0 faces in 0 files" in again
    assert "(7 more among the rows that were kept)" in again
    assert sorted(values[0] for values in values_of(out)) == sorted(values[0] for values in found)


@pytest.mark.timeout(420)
def test_every_input_appears_once_after_a_node_dies(two_nodes, checkpoint, tmp_path):
    paths = [tmp_path / f"{n:04}.png" for n in range(600)]
    for path, image in zip(paths, pattern_faces(len(paths)).images, strict=True):
        cv2.imwrite(str(path), image)
    out = tmp_path / "faces.csv"
    process = start(two_nodes, checkpoint, tmp_path, "--out", out, "--detector", "none")
    assert process.stdout is not None
    said: list[str] = []
    for line in process.stdout:
        said.append(line)
        found = re.match(r"(\d+) files", line)
        if found and int(found[1]) >= 64:
            break
    two_nodes.remove_node(two_nodes.other, allow_graceful=False)
    rest = process.stdout.read()
    assert process.wait(60) == 0, "".join(said) + rest
    assert "600 faces in 600 files" in rest.splitlines()[-1], rest
    counted = collections.Counter(path_from_text(values[0]) for values in values_of(out))
    assert counted == collections.Counter(paths)


def test_unsupported_cluster_options_are_refused_in_one_line(tmp_path, capfd):
    out = str(tmp_path / "faces.parquet")
    for line, said in (
        ([str(PHOTO)], "name a folder"),
        ([str(PHOTO), "--out", out, "--summary", "x.html"], "--summary"),
        ([str(PHOTO), "--out", str(tmp_path / "x.txt")], ".csv, .jsonl or .parquet"),
        ([str(PHOTO), "--out", str(tmp_path / "no" / "x.csv")], "create it first"),
        ([str(tmp_path), "--out", out], "holds no image"),
        (["ftp://host/x.jpg", "--out", out], "expected one of s3"),
    ):
        assert command.run(score.main, [*line, "--engine", "ray"]) == 2
        told = capfd.readouterr().err
        assert said in told
        assert len(told.splitlines()) == 1
    for line, said in (
        ([str(PHOTO), "--workers", "2"], "add --engine ray"),
        (["s3://bucket/x.jpg"], "--engine ray"),
    ):
        assert command.run(score.main, line) == 2
        assert said in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []
