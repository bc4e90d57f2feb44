"""Many steps as one compiled loop over faces that lie on the devices: how accelerators like to train.

The host only sends which faces each step takes, and fetches the losses at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Float32, Int32, Key, UInt8

from fer_jax.config import AugmentConfig
from fer_jax.data.in_memory import Batch
from fer_jax.data.randomness import device_key
from fer_jax.machine import sharding
from fer_jax.training.device_augment import augment
from fer_jax.training.plan import Plan
from fer_jax.training.state import TrainState


class DeviceFaces(NamedTuple):
    """All training faces, on every device: FER2013 takes 66 MB.

    Attributes:
        images: grey levels.
        labels: the class of each.
        targets: what the loss compares with.
        weights: of each face in the loss.
    """

    images: UInt8[jax.Array, "faces 48 48"]
    labels: Int32[jax.Array, " faces"]
    targets: Float32[jax.Array, "faces 7"]
    weights: Float32[jax.Array, " faces"]


def put_faces(plan: Plan, mesh: Mesh) -> DeviceFaces:
    """Moves a run's training faces to the devices."""
    train = plan.train
    faces = DeviceFaces(train.images, train.labels, plan.targets, plan.example_weights)  # pyright: ignore[reportArgumentType]
    return sharding.put_everywhere(faces, mesh)


def train_steps(
    state: TrainState,
    faces: DeviceFaces,
    rows: Int32[jax.Array, "steps batch"],
    *,
    size: int,
    train_step: Callable[[TrainState, Batch], tuple[TrainState, jax.Array]],
    root: Key[jax.Array, ""],
    config: AugmentConfig,
    mesh: Mesh,
) -> tuple[TrainState, Float32[jax.Array, " steps"]]:
    """Returns the state after one step for each row of `rows`, and the steps' losses.

    Args:
        state: before the steps; may be donated.
        faces: to take batches from.
        rows: which faces each step takes.
        size: side in pixels of the faces that the network sees.
        train_step: state and batch -> state and loss.
        root: the run's key.
        config: of the augmentation.
        mesh: whose devices share a batch.
    """
    shared = sharding.over_data(mesh)

    def one(state: TrainState, taken: jax.Array) -> tuple[TrainState, jax.Array]:
        taken = jax.lax.with_sharding_constraint(taken, shared)
        key = device_key(root, "augment", state.step)
        batch = Batch(
            image=augment(key, faces.images[taken], config=config, size=size),
            label=faces.labels[taken],
            target=faces.targets[taken],
            weight=faces.weights[taken],
        )
        return train_step(state, jax.lax.with_sharding_constraint(batch, shared))

    return jax.lax.scan(one, state, rows)


def rows_of(plan: Plan, first: int, end: int) -> Int32[np.ndarray, "steps batch"]:
    """Returns which faces each of the steps takes, as they would be taken on the host."""
    return np.stack([plan.order.indices(step) for step in range(first, end)]).astype(np.int32)


def spans(plan: Plan, first: int, end: int) -> list[tuple[int, int]]:
    """Cuts steps where faces grow: each (first, end) is of one size, and so of one program."""
    sizes = [plan.face_size(step) for step in range(first, end)]
    cuts = [first + k for k in range(1, len(sizes)) if sizes[k] != sizes[k - 1]]
    return list(zip([first, *cuts], [*cuts, end], strict=True))
