"""Caches readings as array_record datasets, which TensorFlow Datasets handles without TensorFlow.

The cache is keyed by the source of the faces, so that an added or changed file makes a new dataset;
deleting the whole cache is always safe.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from fer_jax.data.cache import disk_reason, make_room
from fer_jax.data.faces import Faces
from fer_jax.data.layout import SPLITS
from fer_jax.data.records import Reading, Skipped
from fer_jax.errors import DataError
from fer_jax.expressions import FERPLUS_COLUMNS
from fer_jax.faces.preprocess import FACE_SIZE
from fer_jax.machine.cache_folder import cache_folder

_LOG = logging.getLogger(__name__)

_VERSION = "1.1.0"  # of the files; increase it with every incompatible change
_ABOUT = ("kind", "form", "fingerprint", "numbered", "left_out")  # fields of a reading, stored too
_READ_BATCH = 1024  # records per call; one at a time is three times slower
_MAX_FACES = 400_000  # per split; TFDS sorts 1 GiB in memory and would need TensorFlow for more


class _LocalInfo(tfds.core.DatasetInfo):
    """A description that is never looked up on a server."""

    def initialize_from_bucket(self) -> None:
        """Does nothing; the base class would create a temporary folder for downloads."""


class FaceRecords(tfds.core.GeneratorBasedBuilder):
    """A reading as records of image uint8 [48, 48], label int64, name, and votes float32 [10] if any."""

    name = "faces"
    VERSION = tfds.core.Version(_VERSION)

    def __init__(self, *, reading: Reading, **kwargs: Any) -> None:
        self._reading = reading
        super().__init__(**{"file_format": "array_record", **kwargs})

    def _info(self) -> tfds.core.DatasetInfo:
        # Tensor in bytes, because feeding an array to an Image feature calls TensorFlow.
        features: dict[str, Any] = {
            "image": tfds.features.Tensor(
                shape=(FACE_SIZE, FACE_SIZE), dtype=np.uint8, encoding="bytes"
            ),
            "label": tfds.features.Scalar(np.int64),
            "name": tfds.features.Text(),
        }
        reading = self._reading
        if reading.has_votes:
            votes = tfds.features.Tensor(shape=(len(FERPLUS_COLUMNS),), dtype=np.float32)
            features["votes"] = votes
        about = {name: getattr(reading, name) for name in _ABOUT}
        skipped = [list(face) for face in reading.skipped]
        return _LocalInfo(
            builder=self,
            features=tfds.features.FeaturesDict(features),
            disable_shuffling=True,
            metadata=tfds.core.MetadataDict(about, skipped=skipped),
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, Any]]]:
        del dl_manager
        return {
            split: self._generate_examples(faces) for split, faces in self._reading.splits.items()
        }

    def _generate_examples(self, faces: Faces) -> Iterator[tuple[int, Any]]:
        for index, name in enumerate(faces.names):
            votes = {} if faces.votes is None else {"votes": faces.votes[index]}
            image, label = faces.images[index], int(faces.labels[index])
            yield index, {"image": image, "label": label, "name": name, **votes}

    # TFDS announces a download that does not happen; we log our own line instead.
    def _log_download_bytes(self) -> None: ...

    def _log_download_done(self) -> None: ...


def cached(
    entry: str, read: Callable[[], Reading], *, source: object, cache_dir: Path | None
) -> Reading:
    """Returns the reading cached as `entry`, or `read()`, which is then cached.

    Args:
        entry: the name of its folder in the cache.
        read: reads or draws the faces.
        source: the origin of the faces, for messages.
        cache_dir: None for $FER_CACHE_DIR/datasets or ~/.cache/fer_jax/datasets.

    Raises:
        DataError: the cache cannot be written (a full disk), or what `read` raises.
    """
    folder = (cache_dir or cache_folder("datasets")) / entry
    if _dataset(folder).is_dir():
        try:
            return _kept(folder)
        except (RuntimeError, FileNotFoundError) as error:  # array_record verifies checksums
            _LOG.warning("%s: the cached dataset is damaged (%s), rebuilding it", folder, error)
            shutil.rmtree(folder)
    started = time.monotonic()
    reading = read()
    largest = max(map(len, reading.splits.values()))
    if largest > _MAX_FACES:
        raise DataError(f"{source}: {largest:,} faces in a split, but at most {_MAX_FACES:,} fit")
    _keep(reading, folder, source=source)
    count = sum(map(len, reading.splits.values()))
    seconds = time.monotonic() - started
    _LOG.info("read %d faces from %s in %.1f s, cached in %s", count, source, seconds, folder)
    return reading


def _dataset(folder: Path) -> Path:
    return folder / FaceRecords.name / _VERSION


def _keep(reading: Reading, folder: Path, *, source: object) -> None:
    """Writes the dataset into `folder`, completely or not at all."""
    tfds.disable_progress_bar()
    try:
        make_room(folder, partial=f"{FaceRecords.name}/incomplete.*")
        # TFDS writes to a folder named incomplete.* and renames it once it is complete.
        FaceRecords(reading=reading, data_dir=folder).download_and_prepare()
    except (OSError, RuntimeError) as error:
        if _dataset(folder).is_dir():
            return  # another process was first
        reason = disk_reason(error)
        if reason is None:
            raise
        raise DataError(
            f"{folder}: the dataset made from {source} cannot be written there ({reason}); "
            "make room or set FER_CACHE_DIR to another folder"
        ) from None


def _kept(folder: Path) -> Reading:
    with contextlib.suppress(OSError):  # a read-only cache works too
        os.utime(folder)
    builder = tfds.builder_from_directory(_dataset(folder))
    about: Any = builder.info.metadata
    return Reading(
        {split: _split(builder, split) for split in SPLITS if split in builder.info.splits},
        skipped=tuple(Skipped(*face) for face in about["skipped"]),
        **{name: about[name] for name in _ABOUT},
    )


def _split(builder: Any, split: str) -> Faces:
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
