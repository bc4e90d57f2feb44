import dataclasses

import jax
import numpy as np
import pytest

from fer_jax.machine import sharding
from fer_jax.models.standardise import standardise
from fer_jax.training.finishing import adjusted, finished, recalibrated
from fer_jax.training.program import assemble, validate
from tests.factories import pattern_faces, short_config
from tests.training.test_loop import finished as trained


def program_of(faces, *, devices=1, **settings):
    settings = {"model__name": "tiny", **settings}
    config = short_config(recalibrate=True, eval_batch_size=16, **settings)
    mesh = sharding.data_mesh(devices=devices, batch_size=config.batch_size)
    return assemble(config, train=faces, validation=faces, mesh=mesh)


def first_norm(variables):
    return variables["batch_stats"]["BatchNorm_0"]


def test_statistics_are_those_of_all_unaugmented_training_faces():
    faces = pattern_faces(48)
    program = program_of(faces, model__name="seed_cnn")
    state = program.steps.init()
    fresh = first_norm(recalibrated(program, state.evaluated, size=48))
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


def test_weights_stay_and_the_order_of_the_faces_does_not_matter():
    faces = pattern_faces(48)
    shuffled = faces.take(np.random.default_rng(0).permutation(48))
    program, other = program_of(faces), program_of(shuffled)
    before = program.steps.init().evaluated
    after = recalibrated(program, before, size=48)
    jax.tree.map(np.testing.assert_array_equal, before["params"], after["params"])
    again = recalibrated(other, before, size=48)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=0.2, atol=0.05),
        first_norm(after),
        first_norm(again),
    )


def test_several_devices_and_a_part_of_a_batch_left_over_give_the_same():
    faces = pattern_faces(50)
    one, two = program_of(faces), program_of(faces, devices=2)
    alone = recalibrated(one, one.steps.init().evaluated, size=48)
    together = recalibrated(two, two.steps.init().evaluated, size=48)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4),
        alone["batch_stats"],
        together["batch_stats"],
    )


def test_fewer_faces_than_devices_leave_the_statistics_alone():
    program = program_of(pattern_faces(3), devices=8, batch_size=8)
    before = program.steps.init().evaluated
    assert recalibrated(program, before, size=48) is before


@pytest.mark.parametrize("name", ["resnet_small", "seed_cnn"])
def test_logits_lose_a_share_of_the_log_frequency_of_their_expression(name):
    faces = pattern_faces(40)
    labels = np.array([3] * 30 + [1] * 10, np.int32)
    faces = dataclasses.replace(faces, labels=labels)
    program = program_of(faces, model__name=name, loss__logit_adjustment=0.5)
    before = program.steps.init().evaluated
    (_, plain), (_, moved) = (
        validate(program, variables, faces)
        for variables in (before, adjusted(program.plan, before))
    )
    counts = np.array([1, 11, 1, 31, 1, 1, 1])
    expected = plain - 0.5 * np.log(counts / counts.sum())
    np.testing.assert_allclose(moved, expected, atol=1e-4)


def test_expressions_more_frequent_than_the_bound_keep_their_logits():
    faces = dataclasses.replace(pattern_faces(40), labels=np.array([3] * 30 + [1] * 10, np.int32))
    bound = {"loss__logit_adjustment": 0.5, "loss__logit_adjustment_below": 0.25}
    program = program_of(faces, model__name="resnet_small", **bound)
    before = program.steps.init().evaluated
    (_, plain), (_, moved) = (
        validate(program, variables, faces)
        for variables in (before, adjusted(program.plan, before))
    )
    shares = np.array([1, 11, 1, 31, 1, 1, 1]) / 47
    expected = np.where(shares < 0.25, -0.5 * np.log(shares / 0.25), 0.0)
    np.testing.assert_allclose(moved - plain, np.broadcast_to(expected, plain.shape), atol=1e-4)


def test_a_run_validates_and_keeps_finished_weights_without_changing_training():
    faces = pattern_faces(48)
    program = program_of(faces, epochs=2, ema_decay=0.9, loss__logit_adjustment=0.3)
    kept = []
    state, recorder = trained(program, save=lambda state, row, variables: kept.append(variables))
    report, _ = validate(program, kept[-1], faces)
    assert recorder.rows[-1]["validation_loss"] == report["loss"]
    jax.tree.map(np.testing.assert_array_equal, kept[-1], finished(program, state, size=48))
    config = dataclasses.replace(program.plan.config, recalibrate=False)
    config = dataclasses.replace(
        config, loss=dataclasses.replace(config.loss, logit_adjustment=0.0)
    )
    plan = dataclasses.replace(program.plan, config=config)
    plain, without = trained(program._replace(plan=plan))
    assert recorder.losses == without.losses
    jax.tree.map(np.testing.assert_array_equal, state.ema, plain.ema)
    assert recorder.rows[-1]["validation_loss"] != without.rows[-1]["validation_loss"]
