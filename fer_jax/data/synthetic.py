"""SyntheticFaces: an endless supply of drawn, labelled faces for machines that hold no data set.

A face is a function of (seed, split, index) and of nothing else. `load_synthetic` is the way in: it
writes the faces once as an array_record dataset in a cache, and from then on reads that.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from fer_jax.data.cache import disk_reason, make_room
from fer_jax.data.drawing.portrait import portrait
from fer_jax.data.faces import Faces
from fer_jax.errors import ConfigError, DataError
from fer_jax.expressions import EXPRESSIONS, NUM_EXPRESSIONS
from fer_jax.faces.preprocess import FACE_SIZE
from fer_jax.machine.cache_folder import cache_folder

_LOG = logging.getLogger(__name__)

# Raise it with every change that alters a pixel: datasets in the cache are keyed by it.
RENDERER_VERSION = "1.0.0"

SPLITS: tuple[str, ...] = ("train", "validation", "test")

# Measured on the validation split: a linear model on pixels reaches 55 %, a small network 95 %.
DEFAULT_COUNTS: Mapping[str, int] = {"train": 6000, "validation": 1000, "test": 1000}

_LABEL_STREAM, _FACE_STREAM = 0, 1
_READ_BATCH = 1024  # records a call


def render_face(seed: int, index: int, *, split: str = "train") -> tuple[np.ndarray, int]:
    """Draws one face.

    Args:
        seed: names the collection, >= 0.
        index: the face's place in its split, >= 0. Every seven in a row show each expression once.
        split: train, validation or test; each has random streams of its own.

    Returns:
        The face, uint8 [48, 48] grey levels, and its label, an index into `EXPRESSIONS`.
    """
    place = SPLITS.index(split)
    block, position = divmod(index, NUM_EXPRESSIONS)
    order = np.random.default_rng((seed, place, _LABEL_STREAM, block)).permutation(NUM_EXPRESSIONS)
    label = int(order[position])
    rng = np.random.default_rng((seed, place, _FACE_STREAM, index))
    return portrait(EXPRESSIONS[label], rng), label


def synthetic_faces(*, seed: int, count: int, split: str) -> Faces:
    """Draws the first `count` faces of a split into memory, without a cache."""
    drawn = [render_face(seed, index, split=split) for index in range(count)]
    images = np.empty((count, FACE_SIZE, FACE_SIZE), np.uint8)
    for index, (image, _) in enumerate(drawn):
        images[index] = image
    labels = np.array([label for _, label in drawn], np.int32)
    return Faces(images=images, labels=labels, names=_names(split, count))


class SyntheticFaces(tfds.core.GeneratorBasedBuilder):
    """Drawn faces as records of image uint8 [48, 48] and label int64, in order of their index.

    Draws those of `seed`, as many for each split as `counts` says.
    """

    name = "synthetic_faces"
    VERSION = tfds.core.Version(RENDERER_VERSION)

    def __init__(
        self, *, seed: int = 0, counts: Mapping[str, int] = DEFAULT_COUNTS, **kwargs: Any
    ) -> None:
        self._seed, self._counts = seed, counts
        super().__init__(**{"file_format": "array_record", **kwargs})

    def _info(self) -> tfds.core.DatasetInfo:
        # Tensor in bytes, because feeding an array to an Image feature calls TensorFlow.
        image = tfds.features.Tensor(shape=(FACE_SIZE, FACE_SIZE), dtype=np.uint8, encoding="bytes")
        label = tfds.features.ClassLabel(names=EXPRESSIONS)
        return tfds.core.DatasetInfo(
            builder=self,
            description="Faces drawn from facial action units.",
            features=tfds.features.FeaturesDict({"image": image, "label": label}),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, Any]]]:
        return {split: self._generate_examples(split, n) for split, n in self._counts.items()}

    def _generate_examples(self, split: str, count: int) -> Iterator[tuple[int, Mapping[str, Any]]]:
        for index in range(count):
            image, label = render_face(self._seed, index, split=split)
            yield index, {"image": image, "label": label}

    # TFDS announces a download that does not happen.
    def _log_download_bytes(self) -> None: ...

    def _log_download_done(self) -> None: ...


def load_synthetic(
    *, seed: int = 0, counts: Mapping[str, int] = DEFAULT_COUNTS, cache_dir: Path | None = None
) -> dict[str, Faces]:
    """Loads synthetic faces, drawing them first where the cache has none of this seed and size.

    Args:
        seed: names the collection, >= 0.
        counts: split name (train, validation, test) -> number of faces, >= 1.
        cache_dir: where prepared datasets are kept; None means $FER_CACHE_DIR/datasets, or
            ~/.cache/fer_jax/datasets. Deleting it is always safe.

    Returns:
        Split name -> faces, in the order train, validation, test.

    Raises:
        ConfigError: a negative seed, an unknown split or a count below 1.
        DataError: the cache cannot be written.
    """
    counts = _checked(seed, counts)
    sizes = "-".join(f"{split}{count}" for split, count in counts.items())
    folder = (cache_dir or cache_folder("datasets")) / f"synthetic-seed{seed}-{sizes}"
    dataset = folder / SyntheticFaces.name / RENDERER_VERSION
    if not dataset.is_dir():
        _prepare(seed, counts, dataset)
    try:
        builder = tfds.builder_from_directory(dataset)
        return {split: _read(builder, split) for split in counts}
    except (RuntimeError, FileNotFoundError) as error:  # array_record checks its sums
        _LOG.warning("%s: the cached dataset is damaged (%s), drawing it again", folder, error)
        shutil.rmtree(folder)
        _prepare(seed, counts, dataset)
        builder = tfds.builder_from_directory(dataset)
        return {split: _read(builder, split) for split in counts}


def _checked(seed: int, counts: Mapping[str, int]) -> dict[str, int]:
    if seed < 0:
        raise ConfigError(f"seed {seed}: synthetic faces need a seed of 0 or more; choose another")
    for split, count in counts.items():
        if split not in SPLITS:
            raise ConfigError(
                f"split {split!r}: synthetic faces come as {', '.join(SPLITS)}; use one of these"
            )
        if count < 1:
            raise ConfigError(f"{count} synthetic faces for {split}: ask for at least 1")
    return {split: counts[split] for split in SPLITS if split in counts}


def _prepare(seed: int, counts: Mapping[str, int], dataset: Path) -> None:
    """Draws the faces into the cache, whole or not at all."""
    folder = dataset.parent.parent
    tfds.disable_progress_bar()
    started = time.monotonic()
    try:
        make_room(folder, partial=f"{SyntheticFaces.name}/incomplete.*")
        # TFDS writes to a folder named incomplete.* and renames it once all is there.
        SyntheticFaces(seed=seed, counts=counts, data_dir=folder).download_and_prepare()
    except (OSError, RuntimeError) as error:
        if dataset.is_dir():
            return  # another process drew the same faces first
        reason = disk_reason(error)
        if reason is None:
            raise
        raise DataError(
            f"{folder}: the synthetic faces cannot be kept there ({reason}); "
            "make room or set FER_CACHE_DIR to another folder"
        ) from None
    seconds = time.monotonic() - started
    _LOG.info("drew %d faces in %.1f s, cached in %s", sum(counts.values()), seconds, folder)


def _read(builder: Any, split: str) -> Faces:
    source = builder.as_data_source(split=split)
    count = len(source)
    images = np.empty((count, FACE_SIZE, FACE_SIZE), np.uint8)
    labels = np.empty(count, np.int32)
    for start in range(0, count, _READ_BATCH):
        indices = range(start, min(start + _READ_BATCH, count))
        for index, record in zip(indices, source.__getitems__(indices), strict=True):
            images[index] = record["image"]
            labels[index] = record["label"]
    return Faces(images=images, labels=labels, names=_names(split, count))


def _names(split: str, count: int) -> tuple[str, ...]:
    return tuple(f"synthetic/{split}:{index}" for index in range(count))
