import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fer_jax.config import OptimConfig, PlateauConfig
from fer_jax.training import optim, steps
from fer_jax.training.state import create
from tests.factories import short_config

PLATEAU = PlateauConfig(factor=0.5, patience=2, cooldown=1, rtol=0.01, min_scale=0.25)


def walk(losses, *, config=PLATEAU):
    """Feeds validation losses to `end_epoch` and returns (scale, ran_out) after each."""
    run = short_config(optim__schedule="plateau")
    run = dataclasses.replace(run, optim=dataclasses.replace(run.optim, plateau=config))
    plateau = optim.plateau(config)
    state = _state(plateau)
    seen = []
    for loss in losses:
        state = steps.end_epoch(state, jnp.float32(loss), plateau=plateau, config=run)
        seen.append((float(state.plateau.scale), bool(state.ran_out)))
    return seen


def _state(plateau):
    return create(
        jax.random.key(0),
        model=nn.Dense(1),
        optimizer=optax.identity(),
        plateau=plateau,
        ema=False,
        start={"params": {"w": jnp.zeros(2)}, "batch_stats": {}},
    )


def test_the_rate_stays_while_the_loss_improves():
    assert walk([1.0, 0.9, 0.8, 0.7]) == [(1.0, False)] * 4


def test_patience_counts_evaluations_and_ignores_tiny_gains():
    scales = [scale for scale, _ in walk([1.0, 0.999, 0.998])]
    assert scales == [1.0, 1.0, 0.5]


def test_the_evaluations_after_a_reduction_do_not_count():
    scales = [scale for scale, _ in walk([1.0, 1.0, 1.0, 1.0, 1.0, 1.0])]
    #                       best ^    1    2=reduce  cooldown 1    2=reduce
    assert scales == [1.0, 1.0, 0.5, 0.5, 0.5, 0.25]


def test_the_scale_stops_at_its_minimum_and_then_the_schedule_runs_out():
    seen = walk([1.0] * 12)
    assert min(scale for scale, _ in seen) == 0.25
    ends = [k for k, (_, ran_out) in enumerate(seen) if ran_out]
    #            reduce at 2 and 5, cooldown at 6, out of patience at 8
    assert ends[0] == 8


def test_a_gain_at_the_lowest_scale_keeps_the_run_going():
    seen = walk([1.0] * 7 + [0.5, 0.4, 0.3, 0.2, 0.1])
    assert not any(ran_out for _, ran_out in seen)


def test_warm_up_then_constant_then_the_final_fall():
    config = OptimConfig(learning_rate=1.0, warmup_epochs=1, anneal_fraction=0.3)
    rate = optim.learning_rate_schedule(config, steps_per_epoch=10, total_steps=100)
    rates = np.array([float(rate(step)) for step in range(101)])
    assert 0 < rates[0] < rates[5] < 1
    np.testing.assert_allclose(rates[10:71], 1.0)
    assert np.all(np.diff(rates[70:]) < 0)
    assert rates[100] == pytest.approx(0.0, abs=1e-6)


def test_cosine_decays_to_zero_from_the_end_of_the_warm_up():
    config = OptimConfig(learning_rate=1.0, schedule="cosine", warmup_epochs=2)
    rate = optim.learning_rate_schedule(config, steps_per_epoch=10, total_steps=100)
    assert float(rate(20)) == pytest.approx(1.0)
    assert float(rate(60)) == pytest.approx(0.5)
    assert float(rate(100)) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_decay_shrinks_kernels_and_leaves_biases_and_norms_alone(name):
    params = {"kernel": jnp.ones((3, 3)), "bias": jnp.ones(3), "scale": jnp.ones(3)}
    config = OptimConfig(name=name, learning_rate=0.1, weight_decay=0.5)
    chain = optim.optimizer(config, optax.constant_schedule(0.1))
    still = {key: jnp.zeros_like(value) for key, value in params.items()}
    updates, _ = chain.update(still, chain.init(params), params)
    assert np.all(np.asarray(updates["kernel"]) < 0)
    assert not np.asarray(updates["bias"]).any()
    assert not np.asarray(updates["scale"]).any()


def test_gradients_are_clipped_to_the_configured_norm():
    config = OptimConfig(
        name="sgd", learning_rate=1.0, weight_decay=0.0, momentum=0.0, clip_norm=1.0
    )
    chain = optim.optimizer(config, optax.constant_schedule(1.0))
    params = {"w": jnp.zeros((2, 2))}
    updates, _ = chain.update({"w": jnp.full((2, 2), 50.0)}, chain.init(params), params)
    assert float(jnp.linalg.norm(updates["w"])) == pytest.approx(1.0)


def test_muon_moves_convolutions_alike_in_all_directions_and_the_rest_as_nadam_does():
    config = OptimConfig(name="muon", learning_rate=0.01, weight_decay=0.0, clip_norm=0.0)
    rates = optax.constant_schedule(0.01)
    generator = np.random.default_rng(0)
    params = {"kernel": jnp.zeros((3, 3, 8, 16)), "dense": jnp.zeros((16, 7)), "bias": jnp.zeros(7)}
    # Gradients of nearly one direction: those of a network's convolutions are.
    strong = np.outer(generator.normal(size=72), generator.normal(size=16))
    gradient = strong + 0.1 * generator.normal(size=(72, 16))
    grads = {
        "kernel": jnp.asarray(gradient.reshape(3, 3, 8, 16), jnp.float32),
        "dense": jnp.full((16, 7), 3.0),
        "bias": jnp.full(7, -0.5),
    }
    chain = optim.optimizer(config, rates)
    updates, _ = chain.update(grads, chain.init(params), params)
    sizes = np.linalg.svd(np.asarray(updates["kernel"]).reshape(72, 16), compute_uv=False)
    assert sizes.max() < 2 * sizes.min()
    adam = optax.nadam(rates)
    adams, _ = adam.update(grads, adam.init(params), params)
    for name in ("dense", "bias"):
        np.testing.assert_allclose(updates[name], adams[name], rtol=1e-4)


def test_muon_moves_convolutions_by_a_factor_of_the_rate_and_with_its_momentum():
    generator = np.random.default_rng(0)
    params = {"kernel": jnp.zeros((3, 3, 8, 16)), "bias": jnp.zeros(7)}
    first, second = (
        {
            "kernel": jnp.asarray(generator.normal(size=(3, 3, 8, 16)), jnp.float32),
            "bias": jnp.asarray(generator.normal(size=7), jnp.float32),
        }
        for _ in range(2)
    )

    def updates_of(**changes):
        config = OptimConfig(name="muon", weight_decay=0.0, clip_norm=0.0, **changes)
        chain = optim.optimizer(config, optax.constant_schedule(0.01))
        _, state = chain.update(first, chain.init(params), params)
        return chain.update(second, state, params)[0]

    usual, doubled = updates_of(), updates_of(muon_factor=2.0)
    np.testing.assert_allclose(doubled["kernel"], 2 * usual["kernel"], rtol=1e-5)
    np.testing.assert_array_equal(doubled["bias"], usual["bias"])
    forgetful = np.asarray(updates_of(muon_momentum=0.0)["kernel"]).ravel()
    along = forgetful @ np.asarray(second["kernel"]).ravel()
    assert along < np.asarray(usual["kernel"]).ravel() @ np.asarray(second["kernel"]).ravel() < 0


def test_muons_decay_shrinks_convolutions():
    config = OptimConfig(name="muon", learning_rate=0.1, weight_decay=0.5)
    params = {"kernel": jnp.ones((3, 3, 4, 4)), "bias": jnp.ones(4)}
    chain = optim.optimizer(config, optax.constant_schedule(0.1))
    still = {key: jnp.zeros_like(value) for key, value in params.items()}
    updates, _ = chain.update(still, chain.init(params), params)
    np.testing.assert_allclose(updates["kernel"], -0.05, rtol=1e-5)
    assert not np.asarray(updates["bias"]).any()
