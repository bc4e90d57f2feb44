"""URIs: folders, patterns, and names that cannot be opened. No network is used."""

from __future__ import annotations

import tracemalloc

import pytest

from fer_jax import command, score
from fer_jax.cluster import storage
from fer_jax.cluster.command import input_names
from fer_jax.errors import FerError, OutputError
from fer_jax.media.images import MediaError

fsspec = pytest.importorskip("fsspec")
arrow = pytest.importorskip("pyarrow")

from tests.cluster.refusing_store import StoreError  # noqa: E402  needs fsspec


@pytest.fixture
def bucket():
    """Files in fsspec's memory."""
    files = fsspec.filesystem("memory")
    for name in ("b/2.jpg", "b/10.jpg", "b/x/1.png", "b/.hidden/1.jpg", "b/readme.txt", "b/c.mp4"):
        files.pipe(f"/{name}", name.encode())
    yield "memory://b"
    files.rm("/b", recursive=True)


def test_a_folder_means_all_images_and_videos_below_it(bucket):
    names = ["10.jpg", "2.jpg", "c.mp4", "x/1.png"]
    assert list(input_names([bucket], None)) == [f"{bucket}/{name}" for name in names]


def test_patterns_and_files_expand_to_what_they_match(bucket):
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


def test_a_listing_holds_only_names_and_drops_them_once_returned(tmp_path):
    count = 2000
    for n in range(count):
        (tmp_path / f"{n:06}.jpg").touch()
    uri = tmp_path.as_uri()
    assert len(list(storage.listed(uri))) == count
    tracemalloc.start()
    try:
        names = storage.listed(uri)
        for _ in range(100):
            next(names)
        held, peak = tracemalloc.get_traced_memory()
        assert peak < 400 * count
        for _ in range(count - 200):
            next(names)
        assert tracemalloc.get_traced_memory()[0] < held / 2
    finally:
        tracemalloc.stop()


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
def test_unusable_uris_are_refused_in_one_line_without_secrets(uri, said):
    with pytest.raises(FerError, match=said) as told:
        storage.place(uri)
    assert "secret" not in str(told.value)


def test_connection_options_are_not_shown():
    assert storage.shown("s3://bucket/a.jpg?endpoint_override=x") == "s3://bucket/a.jpg"
    assert storage.shown("what?.jpg") == "what?.jpg"


@pytest.fixture(autouse=True)
def cloud(store):
    fsspec.filesystem("az").pipe({f"b/{name}": b"12" for name in ("1.jpg", "2.jpg", "c.mp4")})


ERRORS = {
    "StoreError: HTTP 403 (no right)": StoreError("HTTP 403\n  (no right)"),
    "StoreError": StoreError(),
    "KeyError: 'etag'": KeyError("etag"),
    "ArrowInvalid: strange": arrow.ArrowInvalid("strange"),
    "access Denied": PermissionError("Access Denied"),
    "ValueError: https://host/1.jpg?... \\x1b": ValueError("https://host/1.jpg?sig=x \x1b"),
}


@pytest.mark.parametrize("call", ["open", "read"])
@pytest.mark.parametrize("said", ERRORS)
def test_any_client_error_becomes_the_reason_of_one_input(store, tmp_path, call, said):
    store.refused[call, "1.jpg"] = ERRORS[said]
    for read in (lambda uri: storage.read(uri, most=9), lambda uri: storage.fetch(uri, tmp_path)):
        with pytest.raises(MediaError) as told:
            read("az://b/1.jpg")
        assert told.value.reason == said
        assert read("az://b/2.jpg")


def test_a_refused_size_request_gives_size_0(store):
    store.refused["info", "c.mp4"] = StoreError()
    assert storage.byte_count("az://b/c.mp4") == 0


def test_a_full_disk_is_not_blamed_on_the_input(store, tmp_path):
    (tmp_path / "1.mp4").symlink_to("/dev/full")
    with pytest.raises(OutputError, match="the disk is full"):
        storage.fetch("az://b/c.mp4", tmp_path)


def test_names_that_look_like_files_are_not_looked_up(store):
    for call in ("info", "find"):
        store.refused[call, "1.jpg"] = StoreError()
    assert list(storage.listed("az://b/1.jpg")) == ["az://b/1.jpg"]


@pytest.mark.parametrize("call", ["start", "info", "find"])
def test_a_folder_that_cannot_be_listed_ends_the_command_in_one_line(store, tmp_path, capfd, call):
    pytest.importorskip("ray", reason='needs Ray: pip install "fer_jax[ray]"')
    store.refused[call, "" if call == "start" else "b"] = StoreError("HTTP 403\nno right")
    line = ["az://b", "--out", str(tmp_path / "faces.csv"), "--engine", "ray"]
    assert command.run(score.main, line) == 2
    (told,) = capfd.readouterr().err.splitlines()
    assert told.startswith("error: az://b")
    assert "StoreError: HTTP 403 no right" in told
