"""FER2013, or any folder of labelled faces, as a TensorFlow dataset that needs no TensorFlow.

`load_faces` is the way in: it finds the faces under a path, writes them once as an array_record
dataset in a cache, and from then on reads that. The cache is keyed by what is on the disk, so that
an added or changed file makes a new dataset; deleting the whole cache is always safe.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from fer_jax.data.cache import disk_reason, entry_name, make_room
from fer_jax.data.faces import Faces
from fer_jax.data.layout import ACCEPTED, SPLITS
from fer_jax.data.reading import Kind, Reading
from fer_jax.data.records import OnError, Record, Skipped
from fer_jax.data.sources import FaceSource, find_source
from fer_jax.errors import DataError
from fer_jax.expressions import FERPLUS_COLUMNS
from fer_jax.faces.preprocess import FACE_SIZE
from fer_jax.machine.cache_folder import cache_folder

_LOG = logging.getLogger(__name__)

_VERSION = "1.1.0"
_READ_BATCH = 1024  # records a call; one at a time is three times slower
_MAX_FACES = 400_000  # a split; TFDS sorts 1 GiB in memory and would need TensorFlow for more


@dataclasses.dataclass(frozen=True)
class LoadedFaces:
    """The faces of a path, in memory.

    Attributes:
        splits: split name -> faces, in the order train, validation, test.
        form: how they were laid out: "csv", "folders", "archive:csv" or "archive:folders".
        kind: "fer2013" or "folder" (any other collection).
        skipped: the faces left out, under on_error="skip".
        path: the folder or archive they were found in.
        fingerprint: hex digest of the files they came from.
    """

    splits: Mapping[str, Faces]
    form: str
    kind: Kind
    skipped: tuple[Skipped, ...]
    path: Path
    fingerprint: str


class _LocalInfo(tfds.core.DatasetInfo):
    """A description that is never looked up on a server."""

    def initialize_from_bucket(self) -> None:
        """Does nothing; the base class makes a temporary folder for what it would fetch."""


class Fer2013(tfds.core.GeneratorBasedBuilder):
    """Labelled faces as records of image uint8 [48, 48], label int64 and name.

    Builds from `reading`, or from the manual directory of a download configuration. A reading with
    FER+ votes gives a fourth feature, votes float32 [10]. The order of the records is the source's.
    """

    VERSION = tfds.core.Version(_VERSION)
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"Put into the manual directory: {ACCEPTED}."

    def __init__(self, *, reading: Reading | None = None, **kwargs: Any) -> None:
        self._reading = reading
        super().__init__(**{"file_format": "array_record", **kwargs})

    def _info(self) -> tfds.core.DatasetInfo:
        features: dict[str, Any] = {
            "image": tfds.features.Tensor(
                shape=(FACE_SIZE, FACE_SIZE), dtype=np.uint8, encoding="bytes"
            ),
            "label": tfds.features.Scalar(np.int64),
            "name": tfds.features.Text(),
        }
        if self._reading is not None and self._reading.has_votes:
            features["votes"] = tfds.features.Tensor(
                shape=(len(FERPLUS_COLUMNS),), dtype=np.float32
            )
        return _LocalInfo(
            builder=self,
            features=tfds.features.FeaturesDict(features),
            disable_shuffling=True,
            metadata=tfds.core.MetadataDict(),
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, Any]]]:
        reading = self._reading
        if reading is None:
            reading = find_source(Path(dl_manager.manual_dir)).read()
        return {
            split: self._generate_examples(records) for split, records in reading.records.items()
        }

    def _generate_examples(self, records: Sequence[Record]) -> Iterator[tuple[int, Any]]:
        features: Any = self.info.features
        votes = "votes" in features
        for index, record in enumerate(records):
            example = {"image": record.image, "label": record.label, "name": record.name}
            yield index, (example | {"votes": record.votes} if votes else example)

    # TFDS announces a download that does not happen; we say one line of our own.
    def _log_download_bytes(self) -> None: ...

    def _log_download_done(self) -> None: ...


def load_faces(
    path: Path,
    *,
    splits: Sequence[str] | None = None,
    on_error: OnError = "raise",
    cache_dir: Path | None = None,
) -> LoadedFaces:
    """Loads the faces under `path`.

    Args:
        path: a folder, a csv or an archive; see `fer_jax.data.sources.find_source`.
        splits: the splits wanted, None for all that there are.
        on_error: "raise" stops at the first face that cannot be used; "skip" leaves it out.
        cache_dir: where prepared datasets are kept; None means $FER_CACHE_DIR/datasets, or
            ~/.cache/fer_jax/datasets.

    Raises:
        DataError: no faces, a wanted split that is not there, a bad face under "raise", or a cache
            that cannot be written (a full disk).
    """
    source = find_source(path)
    folder = (cache_dir or cache_folder("datasets")) / entry_name(source.fingerprint, on_error)
    if not _dataset(folder).is_dir():
        _prepare(source, folder, on_error)
    try:
        return _load(source, folder, splits)
    except (RuntimeError, FileNotFoundError) as error:  # array_record checks its sums
        _LOG.warning("%s: the cached dataset is damaged (%s), making it again", folder, error)
        shutil.rmtree(folder)
        _prepare(source, folder, on_error)
        return _load(source, folder, splits)


def _dataset(folder: Path) -> Path:
    return folder / Fer2013.name / _VERSION


def _load(source: FaceSource, folder: Path, splits: Sequence[str] | None) -> LoadedFaces:
    with contextlib.suppress(OSError):  # a cache that can only be read serves as well
        os.utime(folder)
    builder = tfds.builder_from_directory(_dataset(folder))
    available = [split for split in SPLITS if split in builder.info.splits]
    for split in splits or ():
        if split not in available:
            raise DataError(
                f"{source.path}: holds no {split} split, only {', '.join(available)}; "
                f"add a folder {split}/ or ask for another split"
            )
    metadata: Any = builder.info.metadata
    wanted = [split for split in available if splits is None or split in splits]
    return LoadedFaces(
        splits={split: _read(builder, split) for split in wanted},
        form=source.form,
        kind=metadata["kind"],
        skipped=tuple(Skipped(*skipped) for skipped in metadata["skipped"]),
        path=source.path,
        fingerprint=source.fingerprint,
    )


def _read(builder: Any, split: str) -> Faces:
    """Reads one split of a tfds.core.DatasetBuilder into memory."""
    data = builder.as_data_source(split)
    n = len(data)
    images = np.empty((n, FACE_SIZE, FACE_SIZE), np.uint8)
    labels = np.empty(n, np.int32)
    has_votes = "votes" in builder.info.features
    votes = np.empty((n, len(FERPLUS_COLUMNS)), np.float32) if has_votes else None
    names: list[str] = []
    for start in range(0, n, _READ_BATCH):
        batch = data.__getitems__(list(range(start, min(n, start + _READ_BATCH))))
        for index, example in enumerate(batch, start):
            images[index] = example["image"]
            labels[index] = example["label"]
            names.append(example["name"].decode())
            if votes is not None:
                votes[index] = example["votes"]
    return Faces(images=images, labels=labels, names=tuple(names), votes=votes)


def _prepare(source: FaceSource, folder: Path, on_error: OnError) -> None:
    """Reads the source and writes the dataset into `folder`, whole or not at all."""
    started = time.monotonic()
    reading = source.read(on_error)
    largest = max(map(len, reading.records.values()))
    if largest > _MAX_FACES:
        raise DataError(f"{source.path}: {largest:,} faces in a split, at most {_MAX_FACES:,} fit")
    tfds.disable_progress_bar()
    try:
        make_room(folder, partial=f"{Fer2013.name}/incomplete.*")
        builder = Fer2013(reading=reading, data_dir=folder)
        metadata: Any = builder.info.metadata
        metadata.update(kind=reading.kind, skipped=[list(skipped) for skipped in reading.skipped])
        builder.download_and_prepare()  # renames into place when all is written
    except (OSError, RuntimeError) as error:
        if _dataset(folder).is_dir():
            return  # another process was first
        reason = disk_reason(error)
        if reason is None:
            raise
        raise DataError(
            f"{folder}: the dataset made from {source.path} cannot be written there ({reason}); "
            "make room or set FER_CACHE_DIR to another folder"
        ) from None
    count = sum(map(len, reading.records.values()))
    seconds = time.monotonic() - started
    _LOG.info("read %d faces from %s in %.1f s, cached in %s", count, source.path, seconds, folder)
