"""Batch norm's statistics taken anew, for the weights that are evaluated.

Averaged weights - a moving average, or the mean of several runs' - give other activations than the
weights they are made of, so the mean of those' statistics is not theirs (Izmailov et al., 2018,
arXiv:1803.05407). Nor are those of varied faces the ones of plain faces, which the network is used on.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np

from fer_jax.randomness import host_generator
from fer_jax.training import sharding
from fer_jax.training.program import Program
from fer_jax.training.resolution import resized
from fer_jax.training.state import TrainState


def recalibrated(program: Program, state: TrainState, *, size: int) -> TrainState:
    """Returns the state with its evaluated weights' statistics of the training faces as they are.

    They are means over batches of `config.eval_batch_size` in an order of the run's own; faces left
    over for a part of a batch do not count.

    Args:
        program: the run's.
        state: where it stands.
        size: side of the faces in pixels.
    """
    devices, faces = program.mesh.size, program.train.images
    wanted = math.ceil(program.config.eval_batch_size / devices) * devices
    rows = min(wanted, len(faces) // devices * devices)
    count = len(faces) // rows if rows else 0
    if not count:
        return state
    order = host_generator(program.config.seed, "recalibrate", 0).permutation(len(faces))
    variables = state.evaluated
    sums = jax.tree.map(jnp.zeros_like, variables["batch_stats"])
    for batch in np.split(order[: count * rows], count):
        put = sharding.put_batch(resized(faces[batch], size), program.mesh)
        # Waited for, as `evaluation.evaluate` does, and for its reason.
        sums = jax.block_until_ready(program.statistics_step(variables, sums, put))
    means = jax.tree.map(lambda total: total / count, sums)
    fresh = {**variables, "batch_stats": means}
    return state.replace(ema=fresh) if state.ema else state.replace(variables=fresh)
