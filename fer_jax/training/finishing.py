"""Finishes averaged weights before they are validated and kept.

Averaged weights, by moving average or over several runs, give other activations than the weights they
were averaged from, so their batch norm statistics must be recomputed (Izmailov et al., 2018,
arXiv:1803.05407). Statistics of augmented faces also differ from those of the plain faces in use.

A network expects each expression as often as it saw it in training. Subtracting a share of the log
frequencies from its logits recalls rare expressions better (Menon et al., 2021, arXiv:2007.07314). Done
to rare expressions alone, it leaves the decisions between frequent ones as they were learned.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from jaxtyping import Float64

from fer_jax.data.randomness import host_generator
from fer_jax.evaluation.metrics import Labels
from fer_jax.expressions import NUM_EXPRESSIONS
from fer_jax.machine import sharding
from fer_jax.saved_model import Variables
from fer_jax.training.plan import Plan
from fer_jax.training.program import Program
from fer_jax.training.resolution import resized
from fer_jax.training.state import TrainState


def finished(program: Program, state: TrainState, *, size: int) -> Variables:
    """Returns a copy of the state's evaluated variables, finished according to the configuration.

    Args:
        program: of the run.
        state: of the run; it may be donated afterwards.
        size: side of the faces in pixels.
    """
    variables = jax.tree.map(jnp.copy, state.evaluated)
    if program.plan.config.recalibrate:
        variables = recalibrated(program, variables, size=size)
    if program.plan.config.loss.logit_adjustment:
        variables = adjusted(program.plan, variables)
    return variables


def recalibrated(program: Program, variables: Variables, *, size: int) -> Variables:
    """Returns variables with batch norm statistics recomputed on unaugmented training faces.

    They are means over shuffled batches of `config.eval_batch_size`; an incomplete last batch does not
    count.
    """
    plan, steps = program
    devices, faces = steps.mesh.size, plan.train.images
    wanted = math.ceil(plan.config.eval_batch_size / devices) * devices
    rows = min(wanted, len(faces) // devices * devices)
    count = len(faces) // rows if rows else 0
    if not count:
        return variables
    order = host_generator(plan.config.seed, "recalibrate", 0).permutation(len(faces))
    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), variables["batch_stats"])
    sums = sharding.put_everywhere(zeros, steps.mesh)
    for batch in np.split(order[: count * rows], count):
        put = sharding.put_batch(resized(faces[batch], size), steps.mesh)
        # Waited for, as `evaluation.evaluate` does, and for its reason.
        sums = jax.block_until_ready(steps.statistics(variables, sums, put))
    return {**variables, "batch_stats": jax.tree.map(lambda total: total / count, sums)}


def adjusted(plan: Plan, variables: Variables) -> Variables:
    """Returns variables whose logits are shifted by `frequency_shift` of the training labels.

    The shift goes into the bias of the last layer, which has one entry per expression.
    """
    loss = plan.config.loss
    shift = frequency_shift(
        plan.train.labels, share=loss.logit_adjustment, below=loss.logit_adjustment_below
    )
    params: dict[tuple[str, ...], Any] = dict(flatten_dict(variables["params"]))
    (last,) = (key for key, value in params.items() if value.shape == (NUM_EXPRESSIONS,))
    params[last] = params[last] + np.asarray(shift, params[last].dtype)
    return {**variables, "params": unflatten_dict(params)}


def frequency_shift(
    labels: Labels, *, share: float, below: float = 1.0
) -> Float64[np.ndarray, " 7"]:
    """Returns what is added to logits: minus this share of the log frequencies.

    Args:
        labels: int32 `[N]`, of the training faces; one more is counted for each expression.
        share: 0: no shift; 1: every expression is expected equally often.
        below: frequencies are relative to this one; expressions more frequent than it are not shifted.
    """
    counts = np.bincount(labels, minlength=NUM_EXPRESSIONS) + 1.0
    return -share * np.minimum(np.log(counts / counts.sum() / below), 0.0)
