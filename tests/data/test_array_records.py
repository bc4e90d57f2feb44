from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fer_jax.data.array_records import FaceRecords
from fer_jax.data.records import Reading
from fer_jax.data.sources import FaceSource, find_source, load_faces
from fer_jax.errors import DataError
from fer_jax.expressions import FERPLUS_COLUMNS
from tests.data import face_files as make

LOAD = """
import sys
from pathlib import Path
from fer_jax.data.sources import load_faces
from fer_jax.errors import DataError
from fer_jax.expressions import FERPLUS_COLUMNS
print("ready", flush=True)
sys.stdin.readline()
try:
    faces = load_faces(Path(sys.argv[1]), cache_dir=Path(sys.argv[2]))
    print({split: int(part.images.sum()) for split, part in faces.splits.items()})
except DataError as error:
    print("refused:", error)
print("tensorflow" in sys.modules)
"""


def start(script: str, data: Path, cache: Path) -> subprocess.Popen[str]:
    """Starts a process that runs `script` once it receives a line."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", script, str(data), str(cache)]
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def sums(loaded: Reading) -> dict[str, int]:
    return {split: int(faces.images.sum()) for split, faces in loaded.splits.items()}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three faces per expression in train and validation."""
    files = make.image_files(make.folder_names(per_class=3))
    return make.write_files(tmp_path / "data", files)


def test_loaded_faces_match_the_source_in_order(data: Path, tmp_path: Path) -> None:
    source = find_source(data)
    read = source.read()
    for _ in range(2):  # built, then read from the cache
        loaded = load_faces(data, cache_dir=tmp_path / "cache")
        assert (loaded.form, loaded.kind, loaded.skipped) == ("folders", "folder", ())
        assert loaded.fingerprint == source.fingerprint
        assert list(loaded.splits) == ["train", "validation"]
        for split, expected in read.splits.items():
            faces = loaded.splits[split]
            assert faces.images.dtype == np.uint8
            assert faces.labels.dtype == np.int32
            assert faces.names == expected.names
            assert faces.digest() == expected.digest()
            assert faces.votes is None


def test_the_second_load_reads_the_cache_until_a_file_changes(data: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = load_faces(data, cache_dir=cache)
    path = data / "train" / "happy" / "0.png"
    before = path.stat()
    whole = path.read_bytes()
    path.write_bytes(bytes(len(whole)))  # not an image any more, but of the same size and time
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert sums(load_faces(data, cache_dir=cache)) == sums(first)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    with pytest.raises(DataError, match=r"happy/0\.png: the file contains only zeros"):
        load_faces(data, cache_dir=cache)


def test_the_cache_still_reports_faces_left_out(data: Path, tmp_path: Path) -> None:
    (data / "train" / "sad" / "1.png").write_bytes(b"not an image")
    for _ in range(2):
        loaded = load_faces(data, on_error="skip", cache_dir=tmp_path / "cache")
        assert [skipped.name for skipped in loaded.skipped] == ["train/sad/1.png"]
        assert "not an image" in loaded.skipped[0].reason
        assert len(loaded.splits["train"]) == 20
    with pytest.raises(DataError, match=r"train/sad/1\.png"):
        load_faces(data, cache_dir=tmp_path / "cache")


def test_votes_of_ferplus_come_with_the_csv_form(tmp_path: Path) -> None:
    votes = [(row[2], {"fear": 3, "surprise": number}) for number, row in enumerate(make.ROWS)]
    make.write_files(
        tmp_path,
        {"fer2013.csv": make.csv_bytes(make.ROWS), "fer2013new.csv": make.votes_bytes(votes)},
    )
    for _ in range(2):  # built, then read from the cache
        faces = load_faces(tmp_path, cache_dir=tmp_path / "cache").splits["train"]
        assert faces.names == ("fer2013.csv:2", "fer2013.csv:5")
        assert faces.votes is not None
        assert faces.votes.dtype == np.float32
        columns = [FERPLUS_COLUMNS.index(answer) for answer in ("fear", "surprise")]
        np.testing.assert_array_equal(faces.votes[:, columns], [[3, 0], [3, 3]])
        np.testing.assert_array_equal(faces.votes.sum(axis=1), [3, 6])


def test_a_damaged_cache_is_rebuilt(data: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = load_faces(data, cache_dir=cache)
    (records,) = cache.glob("*/faces/*/faces-train.array_record*")
    records.write_bytes(records.read_bytes()[:1000])
    assert sums(load_faces(data, cache_dir=cache)) == sums(first)
    assert records.stat().st_size > 1000


def test_the_cache_keeps_the_last_used_datasets_and_leaves_other_folders_alone(
    data: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    old = [cache / f"{number:024x}-raise" for number in range(9)]
    for age, entry in enumerate([*old, cache / "precious"]):
        entry.mkdir(parents=True)
        os.utime(entry, (1000 - age, 1000 - age))
    load_faces(data, cache_dir=cache)
    assert [entry.exists() for entry in old] == [True] * 7 + [False] * 2
    assert (cache / "precious").exists()


def test_two_processes_load_at_once_without_tensorflow_and_without_noise(
    data: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    loads = [start(LOAD, data, cache) for _ in range(2)]
    for load in loads:
        assert load.stdout is not None
        assert load.stdout.readline() == "ready\n"
    for load in loads:
        assert load.stdin is not None
        load.stdin.write("\n")
        load.stdin.flush()
    expected = sums(load_faces(data, cache_dir=tmp_path / "other"))
    for load in loads:
        assert load.communicate(timeout=120) == (f"{expected}\nFalse\n", "")
    assert [path.name for path in cache.glob("*/faces/*")] == [str(FaceRecords.VERSION)]


def test_a_killed_preparation_leaves_nothing_that_passes_for_complete(
    data: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    die_in_the_second_split = """
import os, signal
from fer_jax.data.array_records import FaceRecords
whole = FaceRecords._generate_examples
def dying(self, faces):
    for index, example in whole(self, faces):
        if example["name"].startswith("validation/sad"):
            os.kill(os.getpid(), signal.SIGKILL)
        yield index, example
FaceRecords._generate_examples = dying
"""
    killed = start(die_in_the_second_split + LOAD, data, cache)
    killed.communicate("\n", timeout=120)
    assert killed.returncode == -9
    assert list(cache.glob("*/faces/incomplete*/faces-train*"))
    assert len(load_faces(data, cache_dir=cache).splits["validation"]) == 21


def test_a_full_disk_is_reported_in_one_line(tmp_path: Path) -> None:
    data, cache = tmp_path / "data", tmp_path / "cache"
    make.write_files(data, {"fer2013.csv": make.csv_bytes(make.ROWS)})
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
    full = start(LOAD.replace("sys.stdin.readline()", limit), data, cache)
    out, _ = full.communicate(timeout=120)
    _, line, *rest = out.splitlines()
    assert rest == ["False"]
    assert line.startswith(f"refused: {cache}/")
    assert f"the dataset made from {data} cannot be written there (File too large)" in line
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_real_fer2013_is_found_next_to_an_unrelated_archive(
    fer2013: tuple[FaceSource, Reading],
) -> None:
    source, reading = fer2013
    assert (source.form, reading.kind) == ("archive:csv", "fer2013")
    counts = {split: len(faces) for split, faces in reading.splits.items()}
    assert counts == {"train": 28_540, "validation": 3_576}
    assert reading.has_votes
