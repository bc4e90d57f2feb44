"""URIs: what is below a folder, what matches, and what cannot be opened. No network is used."""

from __future__ import annotations

import pytest

from fer_jax.cluster import storage
from fer_jax.cluster.command import input_names
from fer_jax.errors import FerError
from fer_jax.media.images import MediaError

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def bucket():
    """Files in fsspec's memory."""
    files = fsspec.filesystem("memory")
    for name in ("b/2.jpg", "b/10.jpg", "b/x/1.png", "b/.hidden/1.jpg", "b/readme.txt", "b/c.mp4"):
        files.pipe(f"/{name}", name.encode())
    yield "memory://b"
    files.rm("/b", recursive=True)


def test_a_folder_stands_for_the_images_and_videos_below_it(bucket):
    names = ["10.jpg", "2.jpg", "c.mp4", "x/1.png"]
    assert list(input_names([bucket], None)) == [f"{bucket}/{name}" for name in names]


def test_a_pattern_and_a_file_name_what_they_match(bucket):
    assert list(storage.listed(f"{bucket}/*.jpg")) == [f"{bucket}/10.jpg", f"{bucket}/2.jpg"]
    assert list(storage.listed(f"{bucket}/gone.jpg")) == [f"{bucket}/gone.jpg"]


def test_files_are_read_within_a_limit_or_refused_with_a_reason(bucket, tmp_path):
    assert storage.read(f"{bucket}/2.jpg", most=100) == b"b/2.jpg"
    assert storage.byte_count(f"{bucket}/2.jpg") == 7
    assert storage.fetch(f"{bucket}/c.mp4", tmp_path).read_bytes() == b"b/c.mp4"
    with pytest.raises(MediaError, match="no such file"):
        storage.read(f"{bucket}/gone.jpg", most=100)
    with pytest.raises(MediaError, match="larger"):
        storage.read(f"{bucket}/2.jpg", most=3)


def test_a_file_uri_is_a_file(tmp_path):
    (tmp_path / "a b.jpg").touch()
    assert list(input_names([(tmp_path / "a b.jpg").as_uri()], None)) == [str(tmp_path / "a b.jpg")]


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("ftp://host/x.jpg", "expected one of s3, gs"),
        ("s3://key:secret@bucket/x.jpg", "leave the password out"),
    ],
)
def test_what_cannot_be_opened_is_refused_in_one_line_without_secrets(uri, said):
    with pytest.raises(FerError, match=said) as told:
        storage.place(uri)
    assert "secret" not in str(told.value)


def test_options_of_a_connection_are_not_shown():
    assert storage.shown("s3://bucket/a.jpg?endpoint_override=x") == "s3://bucket/a.jpg"
    assert storage.shown("what?.jpg") == "what?.jpg"
