"""The pure functions a run is made of: train, evaluate, end an epoch. Their caller jits them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Float32, Key, UInt8

from fer_jax.config import Config
from fer_jax.data.in_memory import Array, Batch
from fer_jax.data.randomness import device_key
from fer_jax.evaluation.metrics import Sums
from fer_jax.models import mirror
from fer_jax.models.standardise import standardise
from fer_jax.saved_model import Variables
from fer_jax.training import losses
from fer_jax.training.optim import plateau_ran_out
from fer_jax.training.state import Norms, TrainState


def train_step(
    state: TrainState,
    batch: Batch,
    *,
    root: Key[jax.Array, ""],
    weights: Float32[Array, " 7"],
    model: nn.Module,
    optimizer: optax.GradientTransformation,
    config: Config,
) -> tuple[TrainState, Float32[jax.Array, ""]]:
    """Returns the state after one step on `batch` (uint8 faces, already augmented), and its loss.

    Args:
        state: before the step; may be donated.
        batch: B examples.
        root: the run's key.
        weights: of each class in the loss.
        model: the network.
        optimizer: its optimiser.
        config: of the run.
    """
    mix_key = device_key(root, "mix", state.step)
    dropout_key = device_key(root, "dropout", state.step)
    image, target = losses.mix(mix_key, standardise(batch.image), batch.target, config=config.loss)

    importance = (target @ weights) * batch.weight
    total = jnp.sum(importance)

    def loss_of(params: Any, part: _Part, key: jax.Array) -> tuple[jax.Array, _Passed]:
        logits, updated = model.apply(
            {**state.variables, "params": params},
            part.image,
            train=True,
            mutable=["batch_stats"],
            rngs={"dropout": key},
        )
        smoothing = config.loss.label_smoothing
        loss = losses.cross_entropy(logits, part.target, label_smoothing=smoothing)
        share = jnp.sum(loss * part.importance) / total
        return share, _Passed(loss, logits, updated["batch_stats"])

    params = state.variables["params"]
    pass_through = functools.partial(jax.value_and_grad(loss_of, has_aux=True), params)
    whole = _Part(image, target, importance)
    (mean, passed), grads = (
        pass_through(whole, dropout_key)
        if config.accumulate == 1
        else _accumulated(pass_through, whole, dropout_key, parts=config.accumulate)
    )
    # A batch is not its own mirror image, so neither its gradient nor its statistics are tied.
    grads = mirror.tied(model, grads)
    passed = passed._replace(batch_stats=mirror.tied(model, passed.batch_stats))
    tie = functools.partial(mirror.tied, model)
    after = _updated(
        state, batch, passed, grads, optimizer=optimizer, tie=tie, ema_decay=config.ema_decay
    )
    return after, mean


class _Part(NamedTuple):
    """What a pass through the network takes: leading axis the examples."""

    image: Array
    target: Array
    importance: Array  # in the mean of the loss


class _Passed(NamedTuple):
    """What a pass returns in addition to its share of the loss."""

    loss: jax.Array  # of each example
    logits: jax.Array
    batch_stats: Any


def _updated(
    state: TrainState,
    batch: Batch,
    passed: _Passed,
    grads: Any,
    *,
    optimizer: optax.GradientTransformation,
    tie: Callable[[Any], Any],
    ema_decay: float,
) -> TrainState:
    """Returns the state after the optimiser's step along `grads`, which are tied.

    Its updates are tied again, because Muon rounds the pairs of a kernel differently.
    """
    loss, logits, batch_stats = passed
    params = state.variables["params"]
    updates, opt_state = optimizer.update(grads, state.opt_state, params)
    updates = optax.tree.scale(state.plateau.scale, tie(updates))
    variables = {"params": optax.apply_updates(params, updates), "batch_stats": batch_stats}
    return state.replace(
        step=state.step + 1,
        variables=variables,
        ema=_averaged(state, variables, decay=ema_decay),
        opt_state=opt_state,
        sums=state.sums.add(loss=loss, logits=logits, label=batch.label, weight=batch.weight),
        norms=state.norms.add(gradient=grads, update=updates),
    )


def _accumulated(
    pass_through: Callable[[_Part, jax.Array], Any],
    whole: _Part,
    key: jax.Array,
    *,
    parts: int,
) -> tuple[tuple[jax.Array, _Passed], Any]:
    """`pass_through` on a batch in parts, of which only one is in memory at a time.

    Each part normalises by its own statistics; the mean of them counts as the step's. Every `parts`-th
    example is of the same part, so that no device needs the examples of another.
    """

    def split(leaf: Array) -> Array:
        return leaf.reshape(-1, parts, *leaf.shape[1:]).swapaxes(0, 1)

    def joined(leaf: jax.Array) -> jax.Array:
        return leaf.swapaxes(0, 1).reshape(-1, *leaf.shape[2:])

    def add(sums: Any, part: tuple[_Part, jax.Array]) -> tuple[Any, _Passed]:
        (share, passed), grads = pass_through(*part)
        return optax.tree.add(sums, (share, grads)), passed

    inputs = jax.tree.map(split, whole), jax.random.split(key, parts)
    shapes = jax.eval_shape(pass_through, *jax.tree.map(lambda leaf: leaf[0], inputs))
    (share, _), grads = shapes
    zero = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), (share, grads))
    (mean, grads), passed = jax.lax.scan(add, zero, inputs)
    batch_stats = jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), passed.batch_stats)
    return (mean, _Passed(joined(passed.loss), joined(passed.logits), batch_stats)), grads


def statistics_step(
    variables: Variables,
    sums: Variables,
    faces: UInt8[Array, "batch height width"],
    *,
    model: nn.Module,
) -> Variables:
    """Returns `sums` with batch norm's own statistics of the faces added.

    Args:
        variables: of the network.
        sums: of the shape of its batch_stats.
        faces: a batch.
        model: the network without dropout, whose norms keep nothing of earlier statistics.
    """
    _, updated = model.apply(variables, standardise(faces), train=True, mutable=["batch_stats"])
    return optax.tree.add(sums, mirror.tied(model, updated["batch_stats"]))


def end_epoch(
    state: TrainState,
    validation_loss: Float32[jax.Array, ""],
    *,
    plateau: optax.GradientTransformationExtraArgs,
    config: Config,
) -> TrainState:
    """Returns the next epoch's state: the plateau schedule has seen the loss, sums are empty."""
    state = state.replace(sums=Sums.zero(), norms=Norms.zero())
    if config.optim.schedule != "plateau":
        return state
    _, updated = plateau.update({}, state.plateau, value=validation_loss)
    after = cast(optax.contrib.ReduceLROnPlateauState, updated)
    ran_out = plateau_ran_out(state.plateau, after, config=config.optim.plateau)
    return state.replace(plateau=after, ran_out=ran_out)


def _averaged(state: TrainState, variables: Variables, *, decay: float) -> Variables:
    """The moving average after a step; early on it spans fewer steps, so as not to be stale."""
    if not state.ema:
        return {}
    steps = state.step.astype(jnp.float32)
    kept = jnp.minimum(decay, (1 + steps) / (10 + steps))
    return optax.tree.add(optax.tree.scale(kept, state.ema), optax.tree.scale(1 - kept, variables))
