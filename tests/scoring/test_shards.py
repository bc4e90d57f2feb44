"""Shards as inputs of the command."""

from __future__ import annotations

from pathlib import Path

from fer_jax.media.inputs import expand_inputs
from fer_jax.scoring.shards import input_count
from fer_jax.scoring.writers import read_rows
from tests.faces.sample_media import PHOTO
from tests.media.sample_shards import write_tar


def test_images_of_a_shard_are_separate_inputs_and_a_finished_shard_is_not_scored_again(
    run, tmp_path
):
    shard = write_tar(tmp_path / "s.tar", {"a.jpg": PHOTO.read_bytes(), "b.jpg": b"no image"})
    out = tmp_path / "faces.csv"
    code, said, _ = run(shard, "--out", out)
    assert code == 0
    assert "1 face in 2 files: 1 ok, 0 no_face, 1 unreadable" in said
    first, second = read_rows(out)
    assert (first.path, first.status) == (f"{shard}#a.jpg", "ok")
    assert second.path == f"{shard}#b.jpg"
    assert "not an image" in second.error
    assert "0 faces in 0 files" in run(shard, "--out", out, "--append")[1]
    assert list(read_rows(out)) == [first, second]


def test_inputs_are_counted_unless_a_pattern_names_a_shard(tmp_path: Path):
    for name in ("a.jpg", "b.png"):
        (tmp_path / name).touch()
    assert input_count(expand_inputs([str(tmp_path / "*")])) == 2
    write_tar(tmp_path / "s.tar", {"c.jpg": PHOTO.read_bytes()})
    assert input_count(expand_inputs([str(tmp_path / "*")])) is None
    assert input_count(expand_inputs([str(tmp_path)])) == 2  # a folder stands for no shards


def test_copies_of_a_shards_images_are_refused(run, tmp_path):
    shard = write_tar(tmp_path / "s.tar", {})
    code, _, told = run(shard, "--out", tmp_path / "f.csv", "--annotate", tmp_path / "copies")
    assert code == 2
    assert "--annotate: images of shards get no copies" in told
