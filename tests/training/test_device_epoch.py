"""Epochs as one compiled loop over faces on the devices, against the host's loop."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fer_jax.training import device_epoch, loop
from tests.factories import pattern_faces, tiny_config
from tests.training.test_loop import Recorder, assembled, finished

PLAIN = {
    f"augment__{name}": 0.0
    for name in ("rotate_degrees", "scale", "shear", "translate", "gamma", "erase_probability")
}


def config_of(**changes):
    return tiny_config(**{"epochs": 3, **changes})


@pytest.mark.parametrize("devices", [1, 8])
def test_without_augmentation_the_devices_train_as_the_host_does(devices):
    changes = {**PLAIN, "augment__flip": False}
    faces, others = pattern_faces(45), pattern_faces(23, seed=1)
    results = []
    for on_device in (False, True):
        config = config_of(data__on_device=on_device, **changes)
        program = assembled(config, train=faces, validation=others, devices=devices)
        results.append(finished(program))
    (state, recorder), (state_on, recorder_on) = results
    assert int(state.step) == int(state_on.step) == 9
    assert len(recorder_on.losses) == 9
    np.testing.assert_allclose(recorder_on.losses, recorder.losses, rtol=1e-4)
    for row, row_on in zip(recorder.rows, recorder_on.rows, strict=True):
        assert row_on == pytest.approx(row, rel=1e-3, abs=1e-4)
    for leaf, leaf_on in zip(
        jax.tree.leaves(state.variables), jax.tree.leaves(state_on.variables), strict=True
    ):
        np.testing.assert_allclose(leaf_on, leaf, atol=2e-4)


@pytest.mark.long
def test_with_augmentation_both_ways_learn_equally_well():
    accuracy = {}
    for on_device in (False, True):
        config = config_of(epochs=16, data__on_device=on_device, optim__learning_rate=0.01)
        program = assembled(config, train=pattern_faces(112), validation=pattern_faces(70, seed=1))
        _, recorder = finished(program)
        accuracy[on_device] = recorder.rows[-1]["validation_accuracy"]
    # Chance is a seventh; the standard error with 70 faces is 0.06.
    assert min(accuracy.values()) > 0.28, accuracy
    assert abs(accuracy[True] - accuracy[False]) < 0.2, accuracy


@pytest.mark.long
def test_growing_faces_split_an_epoch_where_the_size_changes():
    config = config_of(data__on_device=True, resolution__start=32, resolution__grow_over=0.5)
    program = assembled(config, train=pattern_faces(45))
    plan = program.plan
    spans = device_epoch.spans(plan, 0, plan.order.end_of_epoch(2))
    assert [plan.face_size(first) for first, _ in spans] == [32, 40, 48]
    assert [end for _, end in spans[:-1]] == [first for first, _ in spans[1:]]
    _, recorder = finished(program)
    assert len(recorder.losses) == plan.total_steps
    assert np.isfinite(recorder.losses).all()


def test_a_request_to_stop_takes_effect_between_epochs():
    program = assembled(config_of(data__on_device=True), train=pattern_faces(45))
    asked = iter([False, True])
    with pytest.raises(loop.RunInterrupted) as stop:
        loop.run(
            program,
            program.steps.init(),
            reporter=Recorder(),
            save=lambda state, row, kept: None,
            should_stop=lambda: next(asked),
        )
    assert int(stop.value.state.step) == program.plan.order.end_of_epoch(1)


def test_only_convolutions_use_bfloat16():
    config = config_of(epochs=1, data__on_device=True, model__dtype="bfloat16")
    program = assembled(config, train=pattern_faces(16))
    rows = jnp.zeros((1, 16), jnp.int32)
    steps = program.steps
    traced = jax.make_jaxpr(functools.partial(steps.train_on, size=48))(
        jax.eval_shape(steps.init), steps.faces, rows
    )
    assert "conv_general_dilated" in str(traced)
    assert "bf16[16,24,24,8]" in str(traced)
    state, recorder = finished(program)
    for leaf in jax.tree.leaves((state.variables, state.ema, state.sums.loss)):
        assert leaf.dtype == jnp.float32
    assert np.isfinite(recorder.losses).all()
