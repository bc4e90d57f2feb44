"""A tenth of the training faces becomes the validation split where there is none."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from fer_jax.config import DataConfig
from fer_jax.data.datasets import evaluation_split, open_dataset
from fer_jax.data.sources import load_faces
from fer_jax.errors import DataError
from tests.data import face_files as make


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FER_CACHE_DIR", str(tmp_path / "cache"))


def test_a_tenth_of_each_class_is_held_out_by_name_where_there_are_no_splits(
    tmp_path: Path,
) -> None:
    data = make.image_folder(tmp_path / "data", make.TWENTY_OF_EACH)
    reading = load_faces(data)
    assert list(reading.splits) == ["train", "validation"]
    assert np.bincount(reading.splits["validation"].labels).tolist() == [2] * 7
    assert np.bincount(reading.splits["train"].labels).tolist() == [18] * 7
    assert any("held out" in line for line in reading.remarks)
    validation = make.names(reading)["validation"]
    assert sorted(validation + make.names(reading)["train"]) == sorted(make.TWENTY_OF_EACH)

    packed = make.write_tar(tmp_path / "x.tar.gz", make.image_files(reversed(make.TWENTY_OF_EACH)))
    assert make.names(load_faces(packed))["validation"] == validation
    (data / validation[0]).unlink()  # the others keep their side of the border, but for one
    fewer = make.names(load_faces(data))["validation"]
    assert len(set(fewer) & set(validation)) == 13


def test_training_and_evaluation_validate_on_the_same_held_out_faces(tmp_path: Path) -> None:
    data = make.image_folder(tmp_path / "data", make.TWENTY_OF_EACH)
    lines: list[str] = []
    evaluated = evaluation_split(data, "validation", report=lines.append)
    for seed in (0, 1):
        dataset = open_dataset(DataConfig(dir=str(data), exclude_audited=False), seed=seed)
        assert dataset.splits["validation"].names == evaluated.names
        assert not set(dataset.splits["train"].names) & set(evaluated.names)
        assert dataset.card["validation"] == "a tenth of train, held out by file name"
        assert list(dataset.remarks) == lines
    assert len(lines) == 1


def test_a_class_of_one_face_is_trained_on(tmp_path: Path) -> None:
    data = make.image_folder(
        tmp_path / "data", ["train/happy/a.png", "train/sad/b.png", "train/sad/c.png"]
    )
    reading = load_faces(data)
    assert [len(faces) for faces in reading.splits.values()] == [2, 1]
    assert "train/happy/a.png" in make.names(reading)["train"]
    (data / "train/sad/b.png").unlink()
    assert list(load_faces(data).splits) == ["train"]
    with pytest.raises(DataError, match="no validation split, and too few faces"):
        open_dataset(DataConfig(dir=str(data)), seed=0)


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_a_csv_without_usage_holds_out_a_tenth(tmp_path: Path, suffix: str) -> None:
    rows = [make.csv_row(seed, seed % 2, "")[:2] for seed in range(40)]
    data = make.csv_bytes(rows, "emotion,pixels")
    file = tmp_path / f"mine{suffix}"
    file.write_bytes(gzip.compress(data) if suffix.endswith(".gz") else data)
    for path in (file, tmp_path):
        reading = load_faces(path)
        assert (reading.form, reading.held_out) == ("csv", True)
        assert np.bincount(reading.splits["validation"].labels).tolist() == [2, 2]
        assert make.total(reading) == 40
