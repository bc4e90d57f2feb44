"""The optimiser chain, the learning rate, and the plateau schedule outside the chain.

The plateau schedule is kept out of the chain: inside it, its patience would count steps. It is fed
the validation loss once per evaluation and its scale multiplies the finished update.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Bool

from fer_jax.config import OptimConfig, PlateauConfig

# RMS of an update before the learning rate: Adam's, so that one rate suits both (Liu et al., 2025,
# arXiv:2502.16982).
_ADAMS_RMS = 0.2


def learning_rate_schedule(
    config: OptimConfig, *, steps_per_epoch: float, total_steps: int
) -> optax.Schedule:
    """Returns step -> learning rate before the plateau's scale, float32.

    It rises linearly over the warm-up, then stays ("plateau", "constant") until the annealing at the
    end of the run, or falls along a half cosine ("cosine").
    """
    peak = config.learning_rate
    warmup = min(round(config.warmup_epochs * steps_per_epoch), total_steps)
    anneal = min(round(config.anneal_fraction * total_steps), total_steps - warmup)
    if config.schedule == "cosine":
        after = optax.cosine_decay_schedule(peak, max(total_steps - warmup, 1))
    else:
        after = optax.join_schedules(
            [optax.constant_schedule(peak), optax.linear_schedule(peak, 0.0, max(anneal, 1))],
            [total_steps - warmup - anneal],
        )
    # +1, because a first step at rate zero would be wasted.
    rise = optax.linear_schedule(peak / (warmup + 1), peak, max(warmup, 1))
    return optax.join_schedules([rise, after], [warmup])


def decays(params: optax.Params) -> optax.Params:
    """Returns which parameters decay: kernels, not biases or norms (a tree of bool)."""
    return jax.tree.map(lambda p: p.ndim > 1, params)


def optimizer(config: OptimConfig, schedule: optax.Schedule) -> optax.GradientTransformation:
    """Returns the optimiser: clipping, then AdamW, Muon or Nesterov's SGD, with decoupled decay."""
    clip = optax.clip_by_global_norm(config.clip_norm) if config.clip_norm else optax.identity()
    if config.name == "adamw":
        step = optax.adamw(schedule, weight_decay=config.weight_decay, mask=decays)
    elif config.name == "muon":
        step = optax.contrib.muon(
            lambda count: config.muon_factor * jnp.asarray(schedule(count)),
            adam_learning_rate=schedule,
            beta=config.muon_momentum,
            weight_decay=config.weight_decay,
            weight_decay_mask=decays,
            muon_weight_dimension_numbers=_matrices,
            consistent_rms=_ADAMS_RMS,
        )
    else:
        step = optax.chain(
            optax.trace(config.momentum, nesterov=True),
            optax.add_decayed_weights(config.weight_decay, mask=decays),
            optax.scale_by_learning_rate(schedule),
        )
    return optax.chain(clip, step)


def _matrices(params: optax.Params) -> Any:
    """Returns how Muon reshapes each parameter to a matrix; None for parameters that follow Adam."""
    kernel = optax.contrib.MuonDimensionNumbers(reduction_axis=(0, 1, 2), output_axis=3)
    return jax.tree.map(lambda p: kernel if p.ndim == 4 else None, params)


def plateau(config: PlateauConfig) -> optax.GradientTransformationExtraArgs:
    """Returns optax's plateau schedule; its `update` takes `value`, the validation loss."""
    return optax.contrib.reduce_on_plateau(
        factor=config.factor,
        patience=config.patience,
        cooldown=config.cooldown,
        rtol=config.rtol,
        min_scale=config.min_scale,
    )


def plateau_ran_out(
    before: optax.contrib.ReduceLROnPlateauState,
    after: optax.contrib.ReduceLROnPlateauState,
    *,
    config: PlateauConfig,
) -> Bool[jax.Array, ""]:
    """Returns whether an evaluation exhausted the patience at the lowest scale.

    Args:
        before: the schedule's state before the update with the evaluation's loss.
        after: its state after the update.
        config: holds the lowest scale.
    """
    lowest = jnp.asarray(before.scale) <= config.min_scale * (1 + 1e-6)
    last_chance = jnp.asarray(before.plateau_count) + 1 >= config.patience
    counts = jnp.asarray(before.cooldown_count) == 0
    no_better = jnp.asarray(after.best_value) >= jnp.asarray(before.best_value)
    return lowest & last_chance & counts & no_better
