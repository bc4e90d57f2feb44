"""Shards are read image by image; a defect costs that image or the rest of the shard."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fer_jax.media import shards
from fer_jax.media.shards import is_shard, shard_images
from tests.media.sample_shards import write_parquet, write_tar

IMAGE = b"\xff\xd8 not a whole JPEG"


def said(path: Path) -> list[tuple[str, int, str | None]]:
    return [(one.name, len(one.data), one.error) for one in shard_images(path)]


def test_a_tar_gives_its_images_in_order_and_skips_other_files(tmp_path):
    members = {"1.jpg": IMAGE, "1.json": b"{}", "a/2.PNG": b"", "2.cls": b"3", "\udcff.jpg": IMAGE}
    assert said(write_tar(tmp_path / "a.tar", members)) == [
        ("1.jpg", len(IMAGE), None),
        ("a/2.PNG", 0, None),
        ("\udcff.jpg", len(IMAGE), None),
    ]


def test_a_parquet_file_gives_a_column_by_row_number(tmp_path):
    assert said(write_parquet(tmp_path / "a.parquet", [IMAGE, None])) == [
        ("0", len(IMAGE), None),
        ("1", 0, "the row holds no image"),
    ]
    pq.write_table(pa.table({"jpg": [IMAGE], "mask": [b"x"]}), tmp_path / "b.parquet")
    assert said(tmp_path / "b.parquet") == [("0", len(IMAGE), None)]


def hostile(folder: Path) -> dict[str, str]:
    """Fills a folder; returns a part of the message on each shard."""
    whole = write_tar(folder / "cut.tar", {"1.jpg": IMAGE, "2.jpg": IMAGE * 1000}).read_bytes()
    (folder / "cut.tar").write_bytes(whole[:4000])
    (folder / "text.tar").write_text("hello")
    (folder / "empty.tar").touch()
    (folder / "zeros.tar").write_bytes(bytes(10_240))  # as tar makes one from nothing
    write_tar(folder / "none.tar", {"readme.txt": b"x"})
    (folder / "text.parquet").write_text("PAR1 no, it is none PAR1")
    pq.write_table(pa.table({"x": [1]}), folder / "numbers.parquet")
    pq.write_table(pa.table({"a": [b"1"], "b": [b"2"]}), folder / "several.parquet")
    (folder / "folder.tar").mkdir()
    return {
        "cut.tar": "unexpected end of data); 1 images were read",
        "text.tar": "not a tar file",
        "empty.tar": "not a tar file",
        "none.tar": "holds no image",
        "zeros.tar": "holds no image",
        "text.parquet": "not a Parquet file",
        "numbers.parquet": "no column of image bytes",
        "several.parquet": "several columns of bytes (a, b)",
        "folder.tar": "it is a folder",
        "gone.tar": "no such file",
    }


def test_a_defect_of_a_shard_is_reported_once_after_its_readable_images(tmp_path):
    for name, reason in hostile(tmp_path).items():
        last = said(tmp_path / name)[-1]
        assert last[0] == ""
        assert reason in last[2], name


def test_a_huge_image_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "SHARD_IMAGE_BYTES", 1 << 20)
    huge = tarfile.TarInfo("huge.jpg")
    huge.size = 10 << 30
    (tmp_path / "huge.tar").write_bytes(huge.tobuf())
    first, last = said(tmp_path / "huge.tar")
    assert first == ("huge.jpg", 0, "the image is larger than 1 MiB")
    assert "damaged" in last[2]
    write_parquet(tmp_path / "huge.parquet", [IMAGE, bytes(2 << 20), IMAGE])
    assert [one[2] for one in said(tmp_path / "huge.parquet")] == [
        None,
        "the image is larger than 1 MiB",
        None,
    ]


@pytest.mark.parametrize("seed", range(3))
def test_a_damaged_parquet_file_ends_with_a_reason(tmp_path, seed):
    path = write_parquet(tmp_path / "a.parquet", [IMAGE * 50] * 20)
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(seed)
    for at in rng.integers(4, len(data), 60):
        data[at] = rng.integers(256)
    path.write_bytes(data)
    assert all(error is None or error.isprintable() for _, _, error in said(path))


def test_shards_are_recognised_by_their_extensions():
    assert is_shard("x/a.TAR")
    assert is_shard(Path("a.parquet"))
    assert not is_shard("a.tar.jpg")
