"""Loads the faces of `config.data` into memory: data set, splits, and faces left out of training."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fer_jax.config import DataConfig
from fer_jax.data.audit import audit, excluded
from fer_jax.data.faces import Faces
from fer_jax.data.processing import processing
from fer_jax.data.records import OnError, UnreadableFaceError
from fer_jax.data.sources import NoFacesError, load_faces
from fer_jax.data.synthetic import load_synthetic
from fer_jax.data.votes import agreed, judged
from fer_jax.errors import DataError
from fer_jax.expressions import EXPRESSIONS, NUM_EXPRESSIONS

DEFAULT_DIR = "data"
DIR_VARIABLE = "FER_DATA_DIR"

# Suitable passes over the training faces: an hour, or a minute, on two cores.
REAL_EPOCHS = 36
SYNTHETIC_EPOCHS = 7

_HELD_OUT = "a tenth of train, held out by file name"


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Faces to train on.

    Attributes:
        name: "fer2013", "folder" or "synthetic".
        splits: split name -> faces: "train" and "validation".
        suggested_epochs: passes over the training faces if the configuration does not set them.
        card: the entry in the checkpoint's card, JSON-serialisable.
        remarks: notes for the user on how the faces were found, a line each.
    """

    name: str
    splits: dict[str, Faces]
    suggested_epochs: int
    card: dict[str, Any]
    remarks: Sequence[str] = ()


def open_dataset(config: DataConfig, *, seed: int) -> Dataset:
    """Returns the faces that `config` names, with the audited ones left out of training.

    Args:
        config: which data; see its fields.
        seed: for the synthetic faces.

    Raises:
        DataError: a folder named by the configuration or by $FER_DATA_DIR holds no faces or damaged
            ones; or real faces were requested by name and there is no data/.
    """
    path = real_data_path(config)
    if path is None:
        return _synthetic(config, seed=seed)  # every face is drawn individually: nothing to audit
    try:
        dataset = _real(path, config)
    except NoFacesError:
        if _named(config):
            raise
        return _synthetic(config, seed=seed)
    if config.exclude_audited:
        dataset = _without_audited(dataset, path)
    # The audit has searched for copies of test faces; nothing else here may use the test split.
    splits = {split: faces for split, faces in dataset.splits.items() if split != "test"}
    dataset = dataclasses.replace(dataset, splits=splits)
    return _judged_by_votes(dataset) if config.labels == "votes" else dataset


def real_data_path(config: DataConfig) -> Path | None:
    """Returns where to read real faces from; None for synthetic ones.

    A named folder is always used, so that a typo never trains on the wrong data; the default one only if
    it exists and holds faces.
    """
    if config.name == "synthetic":
        return None
    path = Path(config.dir or os.environ.get(DIR_VARIABLE) or DEFAULT_DIR).expanduser()
    return path if _named(config) or path.exists() else None


def _named(config: DataConfig) -> bool:
    """Whether the user requested real faces, by name or by folder."""
    return bool(config.dir or os.environ.get(DIR_VARIABLE)) or config.name != "auto"


def class_counts(splits: dict[str, Faces]) -> dict[str, dict[str, int]]:
    """Returns the number of faces per split and expression."""
    return {
        split: dict(
            zip(
                EXPRESSIONS,
                np.bincount(faces.labels, minlength=NUM_EXPRESSIONS).tolist(),
                strict=True,
            )
        )
        for split, faces in splits.items()
    }


def _synthetic(config: DataConfig, *, seed: int) -> Dataset:
    counts = {"train": config.synthetic_train, "validation": config.synthetic_validation}
    splits = dict(load_synthetic(seed=seed, counts=counts).splits)
    card = {
        "name": "synthetic",
        "seed": seed,
        "counts": class_counts(splits),
        "audit": {"found": {}, "excluded": {}},  # every face is drawn individually
        "skipped": [],
    }
    return Dataset("synthetic", splits, SYNTHETIC_EPOCHS, card)


def _real(path: Path, config: DataConfig) -> Dataset:
    try:
        loaded = load_faces(path, on_error=config.on_error)
    except UnreadableFaceError as error:
        raise error.with_flag("--config.data.on_error=skip") from None
    if config.name == "fer2013" and loaded.kind != "fer2013":
        raise DataError(f"{path}: holds faces other than FER2013; set config.data.name=folder")
    splits = dict(loaded.splits)
    if "train" not in splits:
        raise DataError(
            f"{path}: has no train split (found: {', '.join(loaded.splits)}); expected "
            "train/<class>/*.jpg, or rows whose Usage is Training"
        )
    if "validation" not in splits:
        raise DataError(
            f"{path}: has no validation split, and too few faces to hold some out; add faces, so that "
            "an expression has two"
        )
    if config.labels == "votes" and splits["train"].votes is None:
        raise DataError(
            f"{path}: has no FER+ votes for config.data.labels=votes; "
            "put fer2013new.csv next to fer2013.csv, or train with config.data.labels=own"
        )
    card = {
        "name": loaded.kind,
        "form": loaded.form,
        "fingerprint": loaded.fingerprint,
        "counts": class_counts(splits),
        "processing": processing(splits["train"].images, splits["train"].names),
        "validation": _HELD_OUT if loaded.held_out else "its own split",
        "skipped": [list(row) for row in loaded.skipped],
        "left_out": dict(loaded.left_out),
        "numbered": loaded.numbered,
    }
    return Dataset(loaded.kind, splits, REAL_EPOCHS, card, loaded.remarks)


def _without_audited(dataset: Dataset, path: Path) -> Dataset:
    found = audit(dataset.splits)
    dropped = excluded(found, dataset.splits)
    splits = {
        split: faces.take(np.setdiff1d(np.arange(len(faces)), dropped.get(split, _NONE)))
        for split, faces in dataset.splits.items()
    }
    if not len(splits["train"]):
        raise DataError(
            f"{path}: the audit leaves no face to train on: all are copies of faces in other splits; "
            "--config.data.exclude_audited=False trains on them anyway"
        )
    summary = {
        "found": found.counts(),
        "excluded": {split: len(rows) for split, rows in dropped.items() if len(rows)},
    }
    card = {**dataset.card, "audit": summary, "counts_used": class_counts(splits)}
    return dataclasses.replace(dataset, splits=splits, card=card)


def _judged_by_votes(dataset: Dataset) -> Dataset:
    splits = {
        "train": judged(dataset.splits["train"]),
        "validation": agreed(dataset.splits["validation"]),
    }
    left_out = {split: len(dataset.splits[split]) - len(faces) for split, faces in splits.items()}
    card = {**dataset.card, "votes": {"left_out": left_out}, "counts_used": class_counts(splits)}
    return dataclasses.replace(dataset, splits=splits, card=card)


_NONE = np.empty(0, np.int64)


def evaluation_split(
    path: Path,
    split: str,
    *,
    on_error: OnError = "raise",
    report: Callable[[str], object] = lambda line: None,
) -> Faces:
    """Returns one complete split of the faces at `path`: the audit excludes nothing here.

    Args:
        path: a folder, csv or archive; it may hold only this split.
        split: "train", "validation" or "test".
        on_error: "raise" or "skip", for faces that cannot be read.
        report: gets the lines of `Reading.remarks`.

    Raises:
        DataError: there is no such split.
    """
    loaded = load_faces(path, on_error=on_error)
    for line in loaded.remarks:
        report(line)
    if split not in loaded.splits:
        raise DataError(
            f"{path}: has no {split} split; it holds {', '.join(loaded.splits) or 'no faces'}"
        )
    return loaded.splits[split]
