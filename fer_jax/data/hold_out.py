"""A validation split for data without one: a tenth of the training faces, chosen by their names.

The same files give the same split in every command and on every machine.
"""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np

from fer_jax.data.faces import Faces
from fer_jax.data.records import Reading
from fer_jax.expressions import NUM_EXPRESSIONS

_SHARE = 0.1


def with_validation(reading: Reading) -> Reading:
    """Returns the reading with a tenth of each training class as validation, if it has no such split.

    A class with one face keeps it for training. Nothing changes if no class has two.
    """
    if "train" not in reading.splits or "validation" in reading.splits:
        return reading
    train = reading.splits["train"]
    chosen = held_out(train)
    if not len(chosen):
        return reading
    kept = np.setdiff1d(np.arange(len(train)), chosen)
    others = {split: faces for split, faces in reading.splits.items() if split != "train"}
    splits = {"train": train.take(kept), "validation": train.take(chosen), **others}
    return dataclasses.replace(reading, splits=splits, held_out=True)


def held_out(faces: Faces) -> np.ndarray:
    """Returns the sorted indices, int [M], of the tenth of each class with the lowest name hashes."""
    hashes = [hashlib.sha256(name.encode(errors="replace")).digest() for name in faces.names]
    order = np.array(sorted(range(len(faces)), key=hashes.__getitem__), np.int64)
    chosen = []
    for label in range(NUM_EXPRESSIONS):
        rows = order[faces.labels[order] == label]
        chosen.append(rows[: max(1, round(_SHARE * len(rows)))] if len(rows) > 1 else rows[:0])
    return np.sort(np.concatenate(chosen))
