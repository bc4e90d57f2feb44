"""The input pipeline: faces in memory; a step's batch is a function of that step alone.

Training reads one endless sequence: epoch after epoch, each in its own shuffled order, split into
batches across epoch borders. Every face is used exactly once per epoch, every batch has the same shape,
and a resumed run needs only its step.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

import jax
import numpy as np
from jaxtyping import Float32, Int, Int32, Int64, UInt8

from fer_jax.data.faces import Faces
from fer_jax.data.randomness import host_generator
from fer_jax.expressions import NUM_EXPRESSIONS

Array: TypeAlias = np.ndarray | jax.Array


class Batch(NamedTuple):
    """The input of a step.

    Attributes:
        image: grey levels; 48 x 48 unless training starts with smaller faces.
        label: the class that predictions are compared with.
        target: the distribution in the loss.
        weight: of the example in the loss, 0 for padding rows.
    """

    image: UInt8[Array, "batch height width"]
    label: Int32[Array, " batch"]
    target: Float32[Array, "batch 7"]
    weight: Float32[Array, " batch"]


@dataclasses.dataclass(frozen=True, eq=False)
class TrainingOrder:
    """The faces of each step.

    Attributes:
        labels: class of each face.
        batch_size: faces per step.
        seed: of the shuffles.
        balanced: draw every expression equally often, with replacement.
    """

    labels: Int32[np.ndarray, " faces"]
    batch_size: int
    seed: int
    balanced: bool = False

    def end_of_epoch(self, epoch: int) -> int:
        """Number of steps after which `epoch` passes over the faces are complete, at least one each."""
        return max(math.ceil(epoch * len(self.labels) / self.batch_size), epoch)

    def indices(self, step: int) -> Int64[np.ndarray, " batch"]:
        """Faces of `step`, counted from 0."""
        count = len(self.labels)
        at = np.arange(step * self.batch_size, (step + 1) * self.batch_size)
        out = np.empty(self.batch_size, np.int64)
        for epoch in range(at[0] // count, at[-1] // count + 1):
            here = at // count == epoch
            out[here] = self._order(epoch)[at[here] % count]
        return out

    @functools.lru_cache(maxsize=2)  # noqa: B019 - few exist, each for a whole run
    def _order(self, epoch: int) -> Int64[np.ndarray, " faces"]:
        generator = host_generator(self.seed, "order", epoch)
        count = len(self.labels)
        if not self.balanced:
            return generator.permutation(count)
        frequency = np.bincount(self.labels, minlength=NUM_EXPRESSIONS)
        present = np.count_nonzero(frequency)
        share = 1.0 / (present * frequency[self.labels])
        return generator.choice(count, size=count, p=share)


def one_hot(labels: Int[np.ndarray, " faces"]) -> Float32[np.ndarray, "faces 7"]:
    """Returns the one-hot distributions of labels."""
    return np.eye(NUM_EXPRESSIONS, dtype=np.float32)[labels]


def evaluation_batches(faces: Faces, *, batch_size: int) -> Iterator[Batch]:
    """Yields every face once, in order; the last batch is padded with masked copies of its first."""
    targets = one_hot(faces.labels)
    for start in range(0, len(faces), batch_size):
        rows = np.arange(start, start + batch_size)
        weight = (rows < len(faces)).astype(np.float32)
        rows = np.where(rows < len(faces), rows, start)
        yield Batch(faces.images[rows], faces.labels[rows], targets[rows], weight)
