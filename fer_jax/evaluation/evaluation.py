"""Evaluates a network on a split with a jitted step over padded, masked batches."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, Protocol, cast, runtime_checkable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh
from jaxtyping import Float32

from fer_jax import models
from fer_jax.config import from_config_dict
from fer_jax.data.faces import Faces
from fer_jax.data.in_memory import Batch, evaluation_batches
from fer_jax.errors import CheckpointError, FerError
from fer_jax.evaluation.metrics import Sums, figures
from fer_jax.machine import sharding
from fer_jax.models.standardise import standardise
from fer_jax.saved_model import SavedModel, Variables


def eval_step(
    variables: Variables, sums: Sums, batch: Batch, *, model: nn.Module
) -> tuple[Sums, Float32[jax.Array, "batch 7"]]:
    """Returns `sums` with `batch` counted (cross-entropy against the label), and the logits."""
    logits = cast(jax.Array, model.apply(variables, standardise(batch.image), train=False))
    loss = optax.softmax_cross_entropy(logits, jnp.asarray(batch.target))
    return sums.add(loss=loss, logits=logits, label=batch.label, weight=batch.weight), logits


@runtime_checkable
class EvalStep(Protocol):
    """`eval_step` of one network."""

    def __call__(
        self, variables: Variables, sums: Sums, batch: Batch, /
    ) -> tuple[Sums, Float32[jax.Array, "batch 7"]]:
        """Returns the sums with a batch counted, and its logits."""
        ...


def compile_eval_step(model: nn.Module, mesh: Mesh) -> EvalStep:
    """Returns `eval_step` of `model`, jitted; every process gets all logits."""
    step = functools.partial(eval_step, model=model)
    return jax.jit(step, out_shardings=sharding.replicated(mesh))


def network_logits(saved: SavedModel) -> Callable[[Faces], Float32[np.ndarray, "faces 7"]]:
    """Returns the network as a function of faces that gives their logits.

    It runs on all devices and is compiled once.

    Raises:
        CheckpointError: the network is not one of this version's.
    """
    try:
        config = from_config_dict(saved.about["config"])
    except (KeyError, FerError) as error:
        raise CheckpointError(
            f"{saved.path}: was not written by this version of fer_jax ({error})"
        ) from error
    size = config.eval_batch_size
    mesh = sharding.data_mesh(devices=0, batch_size=size)
    step = compile_eval_step(models.build(config.model.name, dtype=config.model.dtype), mesh)
    variables = sharding.put_everywhere(saved.variables, mesh)
    return lambda faces: evaluate(step, variables, faces, mesh=mesh, batch_size=size)[1]


def saved_logits(
    saved: SavedModel, faces: Faces
) -> tuple[Float32[np.ndarray, "faces 7"], Float32[np.ndarray, "faces 7"]]:
    """Returns the logits of faces and of their mirror images, computed on all devices.

    Raises:
        CheckpointError: the network is not one of this version's.
    """
    logits_of = network_logits(saved)
    return logits_of(faces), logits_of(faces.mirrored())


def evaluate(
    eval_step: EvalStep,
    variables: Variables,
    faces: Faces,
    *,
    mesh: Mesh,
    batch_size: int,
) -> tuple[dict[str, Any], Float32[np.ndarray, "faces 7"]]:
    """Returns `metrics.figures` of `faces` and their logits.

    Args:
        eval_step: of `compile_eval_step`.
        variables: of the network, replicated over the mesh.
        faces: 1 or more.
        mesh: to spread batches over.
        batch_size: most faces a batch, rounded up to what the mesh divides.
    """
    wanted = min(batch_size, len(faces))  # more would only be padding
    total = sharding.put_everywhere(Sums.zero(), mesh)
    rows = []
    for batch in evaluation_batches(faces, batch_size=math.ceil(wanted / mesh.size) * mesh.size):
        total, logits = eval_step(variables, total, sharding.put_batch(batch, mesh))
        # Fetched at once: with a hundred steps queued, simulated devices deadlocked waiting for each
        # other, because all their threads were taken.
        rows.append(np.asarray(logits))
    logits = np.concatenate(rows)[: len(faces)]
    return figures(np.asarray(total.confusion), loss=float(total.loss) / len(faces)), logits
