import dataclasses

import jax
import numpy as np

from fer_jax.preprocess import standardise
from fer_jax.training import sharding
from fer_jax.training.program import assemble
from fer_jax.training.recalibration import recalibrated
from tests.factories import pattern_faces, short_config
from tests.training.test_loop import finished


def program_of(faces, *, devices=1, **settings):
    config = short_config(recalibrate=True, eval_batch_size=16, **settings)
    mesh = sharding.data_mesh(devices=devices, batch_size=config.batch_size)
    return assemble(config, train=faces, validation=faces, mesh=mesh)


def first_norm(variables):
    return variables["batch_stats"]["BatchNorm_0"]


def test_statistics_are_those_of_all_training_faces_as_they_are():
    faces = pattern_faces(48)
    program = program_of(faces, model__name="seed_cnn")
    state = program.init()
    fresh = first_norm(recalibrated(program, state, size=48).evaluated)
    layer = state.evaluated["params"]["Conv_0"]
    seen = jax.lax.conv_general_dilated(
        standardise(faces.images),
        layer["kernel"],
        (1, 1),
        "SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    seen = np.asarray(seen + layer["bias"])
    np.testing.assert_allclose(fresh["mean"], seen.mean((0, 1, 2)), atol=1e-4)
    np.testing.assert_allclose(fresh["var"], seen.var((0, 1, 2)), rtol=0.05)


def test_nothing_else_changes_and_the_order_of_the_faces_does_not_matter():
    faces = pattern_faces(48)
    shuffled = faces.take(np.random.default_rng(0).permutation(48))
    program, other = program_of(faces), program_of(shuffled)
    before = program.init()
    after = recalibrated(program, before, size=48)
    for name in ("step", "variables", "opt_state", "plateau", "sums"):
        jax.tree.map(np.testing.assert_array_equal, getattr(before, name), getattr(after, name))
    jax.tree.map(
        np.testing.assert_array_equal, before.evaluated["params"], after.evaluated["params"]
    )
    again = recalibrated(other, other.init(), size=48)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=0.2, atol=0.05),
        first_norm(after.evaluated),
        first_norm(again.evaluated),
    )


def test_several_devices_and_a_part_of_a_batch_left_over_give_the_same():
    faces = pattern_faces(50)
    one, two = program_of(faces), program_of(faces, devices=2)
    alone = recalibrated(one, one.init(), size=48).evaluated
    together = recalibrated(two, two.init(), size=48).evaluated
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4),
        alone["batch_stats"],
        together["batch_stats"],
    )


def test_fewer_faces_than_devices_leave_the_statistics_alone():
    faces = pattern_faces(3)
    program = program_of(faces, devices=8, batch_size=8)
    state = program.init()
    assert recalibrated(program, state, size=48) is state


def test_a_run_validates_and_keeps_the_weights_with_these_statistics():
    program = program_of(pattern_faces(48), epochs=2, ema_decay=0.9)
    state, recorder = finished(program)
    again = recalibrated(program, state, size=48)
    jax.tree.map(np.testing.assert_array_equal, state.ema, again.ema)
    plain = dataclasses.replace(program.config, recalibrate=False)
    _, without = finished(dataclasses.replace(program, config=plain))
    losses = [row["train_loss"] for row in recorder.rows]
    assert losses == [row["train_loss"] for row in without.rows]  # training is the same
    assert recorder.rows[-1]["validation_loss"] != without.rows[-1]["validation_loss"]
