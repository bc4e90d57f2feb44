"""Files that would take all memory or never end: refused at once, in one line each."""

from __future__ import annotations

import json
import os
import shutil
import struct
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
import tensorstore

from fer_jax.data.members import archive_members
from fer_jax.data.sources import find_source
from fer_jax.errors import CheckpointError, DataError, FerError
from fer_jax.evaluation.groups import read_groups
from fer_jax.evaluation.openings import read_openings
from fer_jax.machine.json_files import parse_json
from fer_jax.saved_model import load_model
from fer_jax.scoring.writers import read_rows
from tests.small_checkpoint import STEP, write_workdir

DEEP = "[" * 100_000


@pytest.fixture(scope="module")
def workdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_workdir(tmp_path_factory.mktemp("run") / "small", model__name="seed_cnn")


@pytest.fixture
def copied(workdir: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(workdir, tmp_path / "copy"))


def refusal(workdir: Path) -> str:
    with pytest.raises(CheckpointError) as refused:
        load_model(workdir)
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (os.mkfifo, "not a regular file"),
        (os.mkdir, "Is a directory"),
        (lambda path: os.symlink("/dev/zero", path), "not a regular file"),
        (lambda path: Path(path).write_text(DEEP), "nested too deeply"),
        (lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_WRONLY), 1 << 40), "larger than"),
    ],
)
def test_an_invalid_card_is_refused_at_once(
    copied: Path, make: Callable[[Path], object], reason: str
) -> None:
    (copied / "card.json").unlink()
    make(copied / "card.json")
    told = refusal(copied)
    assert "card.json: cannot be read" in told
    assert reason in told


@pytest.mark.parametrize("name", ["about/metadata", "model/_METADATA"])
def test_a_checkpoint_with_deep_json_is_refused(copied: Path, name: str) -> None:
    (copied / "checkpoints" / str(STEP) / name).write_text('{"a":' * 100_000)
    assert "cannot be read" in refusal(copied)


def test_an_array_that_claims_more_than_any_network_has_is_refused(copied: Path) -> None:
    model = copied / "checkpoints" / str(STEP) / "model"
    store = tensorstore.KvStore.open({"driver": "ocdbt", "base": f"file://{model}/"}).result()
    key = next(key for key in store.list().result() if key.endswith(b".zarray"))
    about = json.loads(store.read(key).result().value)
    about["shape"][0] = 2**40
    store.write(key, json.dumps(about).encode()).result()
    assert "its arrays claim" in refusal(copied)


@pytest.mark.parametrize("name", ["fer2013.csv", "faces.tar", "faces.zip"])
def test_a_pipe_in_place_of_data_is_refused_at_once(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(DataError, match="neither a folder nor a regular file"):
        find_source(tmp_path / name)
    with pytest.raises(DataError, match="holds no faces"):
        find_source(tmp_path)


def test_the_votes_beside_a_csv_may_be_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "fer2013.csv").write_text("emotion,pixels,Usage\n")
    os.mkfifo(tmp_path / "fer2013new.csv")
    assert [member.name for member in find_source(tmp_path / "fer2013.csv").members] == [
        "fer2013.csv"
    ]


def test_a_pipe_in_place_of_groups_or_of_a_record_of_openings_is_refused_at_once(
    copied: Path, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "groups.csv")
    with pytest.raises(DataError, match="not a regular file"):
        read_groups(tmp_path / "groups.csv", ["a"])
    os.mkfifo(copied / "test_openings.jsonl")
    with pytest.raises(CheckpointError, match="not a regular file"):
        read_openings(load_model(copied))


def test_a_zip_with_an_oversized_directory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "faces.zip"
    size = 1 << 30
    with path.open("wb") as file:
        file.truncate(size)
        file.seek(size)
        file.write(struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, size, 0, 0))
    tracemalloc.start()
    try:
        with (
            pytest.raises(DataError, match="directory of 1,073,741,824 bytes"),
            archive_members(path),
        ):
            raise AssertionError
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_a_tar_with_a_name_of_three_gigabytes_is_refused(tmp_path: Path) -> None:
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 3 << 30
    path = tmp_path / "faces.tar"
    path.write_bytes(header.tobuf(tarfile.GNU_FORMAT))
    os.truncate(path, (3 << 30) + 10240)
    with pytest.raises(DataError, match=r"faces\.tar: .*name or attribute of 3,221,225,472 bytes"):
        find_source(tmp_path).read()


def test_rows_and_bodies_with_deep_json_are_not_valid(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_json(DEEP)
    (tmp_path / "faces.jsonl").write_text(DEEP + "\n")
    with pytest.raises(FerError, match="not a file of scored faces"):
        list(read_rows(tmp_path / "faces.jsonl"))
