"""One training step, of a network small enough to know its gradient."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fer_jax.config import Config, LossConfig
from fer_jax.data.in_memory import Batch, one_hot
from fer_jax.models.probabilities import softmax
from fer_jax.models.standardise import standardise
from fer_jax.training import optim, state, steps
from fer_jax.training.state import TrainState
from tests.factories import pattern_faces

RATE = 0.1
PLAIN = Config(loss=LossConfig(label_smoothing=0.0), ema_decay=0.0)


class OneLayer(nn.Module):
    """Batch norm and one dense layer."""

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        x = nn.BatchNorm(use_running_average=not train)(x)
        return nn.Dense(7)(x.reshape(x.shape[0], -1))


ONE_LAYER = OneLayer()


def begun(config: Config = PLAIN, *, model: nn.Module = ONE_LAYER) -> TrainState:
    create = functools.partial(
        state.create,
        model=model,
        optimizer=optax.sgd(RATE),
        plateau=optim.plateau(config.optim.plateau),
        ema=config.ema_decay > 0,
    )
    return jax.jit(create)(jax.random.key(0))


def batch_of(count: int, **changes: np.ndarray) -> Batch:
    faces = pattern_faces(count)
    batch = Batch(faces.images, faces.labels, one_hot(faces.labels), np.ones(count, np.float32))
    return batch._replace(**changes)


@functools.cache
def compiled_step(config: Config, model: nn.Module) -> Callable[..., tuple[TrainState, jax.Array]]:
    step = functools.partial(
        steps.train_step, model=model, optimizer=optax.sgd(RATE), config=config
    )
    return jax.jit(step)


def stepped(
    before: TrainState,
    batch: Batch,
    *,
    config: Config = PLAIN,
    weights: np.ndarray | None = None,
    seed: int = 0,
    model: nn.Module = ONE_LAYER,
) -> tuple[TrainState, float]:
    weights = np.ones(7, np.float32) if weights is None else weights
    root = jax.random.key(seed)
    after, loss = compiled_step(config, model)(before, batch, root=root, weights=weights)
    return after, float(loss)


def bias(now: TrainState) -> np.ndarray:
    return np.asarray(now.variables["params"]["Dense_0"]["bias"])


def logits_of(now: TrainState, images: np.ndarray) -> np.ndarray:
    """The network's output in training."""
    faces = standardise(images)
    logits, _ = OneLayer().apply(now.variables, faces, train=True, mutable=["batch_stats"])
    return np.asarray(logits)


def by_hand(now: TrainState, batch: Batch, weights: np.ndarray) -> tuple[float, np.ndarray]:
    """The loss of a step and the gradient of the dense layer's bias, [7]."""
    target, logits = np.asarray(batch.target), logits_of(now, np.asarray(batch.image))
    importance = (target @ weights) * batch.weight
    importance = importance / importance.sum()
    probabilities = softmax(logits)
    each = -(target * np.log(probabilities)).sum(axis=1)
    return float(importance @ each), importance @ (probabilities - target)


def assert_is_step(before: TrainState, batch: Batch, weights: np.ndarray) -> None:
    after, loss = stepped(before, batch, weights=weights)
    expected_loss, gradient = by_hand(before, batch, weights)
    assert loss == pytest.approx(expected_loss, rel=1e-5)
    np.testing.assert_allclose(bias(after) - bias(before), -RATE * gradient, atol=1e-6)


def test_a_step_follows_the_gradient_of_the_mean_cross_entropy():
    assert_is_step(begun(), batch_of(10), np.ones(7, np.float32))


def test_soft_targets_are_weighted_by_all_their_classes():
    target = np.random.default_rng(0).dirichlet(np.ones(7), size=10).astype(np.float32)
    assert_is_step(begun(), batch_of(10, target=target), np.linspace(0.2, 3, 7, dtype=np.float32))


def test_an_example_counts_by_its_weight_and_padding_not_at_all():
    weight = np.array([1, 0.5, 2, 1, 0, 0], np.float32)
    assert_is_step(begun(), batch_of(6, weight=weight), np.ones(7, np.float32))
    other = batch_of(6, weight=weight)
    other.target[4:] = other.target[0]
    after, loss = stepped(begun(), other)
    same, same_loss = stepped(begun(), batch_of(6, weight=weight))
    assert loss == same_loss
    np.testing.assert_array_equal(bias(after), bias(same))
    assert after.sums.confusion.sum() == 4


def test_a_step_is_counted_with_its_figures_and_norms():
    before, batch = begun(), batch_of(10)
    after, loss = stepped(before, batch)
    assert (int(before.step), int(after.step)) == (0, 1)
    assert (
        after.sums.confusion.sum(axis=1).tolist() == np.bincount(batch.label, minlength=7).tolist()
    )
    assert float(after.sums.loss) == pytest.approx(10 * loss, rel=1e-5)
    assert float(after.norms.update) == pytest.approx(RATE * float(after.norms.gradient), rel=1e-5)
    again, _ = stepped(after, batch)
    assert int(again.step) == 2
    assert again.sums.confusion.sum() == 20
    assert float(again.norms.gradient) > float(after.norms.gradient)


def test_batch_norm_learns_the_batchs_statistics():
    before = begun()
    after, _ = stepped(before, batch_of(10))
    was, now = (s.variables["batch_stats"]["BatchNorm_0"]["var"] for s in (before, after))
    assert was.shape == now.shape == (1,)
    # A standardised face's variance is 1, like the initial one: only the mean may move.
    np.testing.assert_allclose(now, was, atol=1e-2)
    blank = batch_of(10, image=np.zeros((10, 48, 48), np.uint8))
    darker, _ = stepped(before, blank)
    assert float(darker.variables["batch_stats"]["BatchNorm_0"]["var"][0]) < 0.999


def test_the_plateaus_scale_shortens_the_step():
    before, batch = begun(), batch_of(10)
    lowered = before.replace(plateau=before.plateau._replace(scale=jnp.asarray(0.25)))
    whole, quarter = (bias(stepped(s, batch)[0]) - bias(before) for s in (before, lowered))
    assert np.abs(whole).max() > 1e-4
    np.testing.assert_allclose(quarter, whole / 4, atol=1e-7)


def test_the_average_follows_quickly_at_first_and_by_its_decay_later():
    config = dataclasses.replace(PLAIN, ema_decay=0.5)
    before, batch = begun(config), batch_of(10)
    for step, kept in ((0, 0.1), (1000, 0.5)):
        at = before.replace(step=jnp.asarray(step, jnp.int32))
        after, _ = stepped(at, batch, config=config)
        found = np.asarray(after.ema["params"]["Dense_0"]["bias"])
        np.testing.assert_allclose(found, kept * bias(before) + (1 - kept) * bias(after), atol=1e-7)
    assert stepped(begun(), batch)[0].ema == {}


def test_label_smoothing_raises_the_loss_of_a_sure_answer():
    smooth = dataclasses.replace(PLAIN, loss=LossConfig(label_smoothing=0.3))
    before, batch = begun(), batch_of(10)
    for _ in range(50):
        before, loss = stepped(before, batch)
    assert stepped(before, batch, config=smooth)[1] > 2 * loss


def test_mixing_differs_between_steps_and_repeats_for_the_same_step():
    config = dataclasses.replace(PLAIN, loss=LossConfig(label_smoothing=0.0, mixup=1.0))
    before, batch = begun(), batch_of(10)
    later = before.replace(step=before.step + 1)
    losses = [stepped(s, batch, config=config)[1] for s in (before, before, later)]
    assert losses[0] == losses[1] != losses[2]
    assert stepped(before, batch, config=config, seed=1)[1] != losses[0]


class NoNorm(nn.Module):
    """One dense layer: its examples do not affect each other."""

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        self.variable("batch_stats", "unused", lambda: jnp.zeros(()))
        return nn.Dense(7)(x.reshape(x.shape[0], -1))


def test_a_batch_in_parts_changes_the_weights_as_the_whole_batch_does():
    batch = batch_of(12, weight=np.linspace(0.1, 2, 12, dtype=np.float32))
    parts = dataclasses.replace(PLAIN, accumulate=3)
    before = begun(model=NoNorm())
    whole, loss = stepped(before, batch, model=NoNorm())
    after, loss_of_parts = stepped(before, batch, config=parts, model=NoNorm())
    assert loss_of_parts == pytest.approx(loss, rel=1e-5)
    np.testing.assert_allclose(bias(after), bias(whole), atol=1e-6)
    np.testing.assert_array_equal(after.sums.confusion, whole.sums.confusion)
    assert float(after.norms.gradient) == pytest.approx(float(whole.norms.gradient), rel=1e-4)


def test_batch_norm_keeps_the_mean_of_the_parts_statistics():
    image = np.zeros((8, 48, 48), np.uint8)
    image[::2] = batch_of(4).image  # one part has faces, the other is blank
    parts = dataclasses.replace(PLAIN, accumulate=2)
    before = begun()
    after, _ = stepped(before, batch_of(8, image=image), config=parts)
    halves = [stepped(before, batch_of(4, image=image[k::2]))[0] for k in range(2)]
    of = [float(s.variables["batch_stats"]["BatchNorm_0"]["var"][0]) for s in (after, *halves)]
    assert of[1] > of[2] + 0.005
    assert of[0] == pytest.approx((of[1] + of[2]) / 2, rel=1e-6)
