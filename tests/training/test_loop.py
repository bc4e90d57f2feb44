import dataclasses

import jax
import numpy as np
import pytest

from fer_jax.errors import TrainingError
from fer_jax.expressions import FERPLUS_TO_INDEX
from fer_jax.machine import sharding
from fer_jax.training import loop
from fer_jax.training.profiling import profiled
from fer_jax.training.program import assemble, validate
from tests.factories import pattern_faces, short_config, tiny_config


class Recorder:
    def __init__(self):
        self.losses, self.rows = [], []

    def step(self, *, epoch, step, loss, learning_rate):
        self.losses.append(loss)

    def epoch(self, row):
        self.rows.append(row)


def assembled(config, *, train, validation=None, devices=1):
    mesh = sharding.data_mesh(devices=devices, batch_size=config.batch_size)
    return assemble(config, train=train, validation=validation or train, mesh=mesh)


def finished(program, *, save=lambda state, row, kept: None):
    recorder = Recorder()
    state = loop.run(program, program.steps.init(), reporter=recorder, save=save)
    return state, recorder


@pytest.fixture(scope="module")
def ragged():
    """A finished run of two epochs; neither training nor validation is a multiple of the batch."""
    program = assembled(
        tiny_config(epochs=2, optim__name="sgd", optim__learning_rate=0.05, loss__mixup=0.4),
        train=pattern_faces(45),
        validation=pattern_faces(23, seed=1),
    )
    return program, *finished(program)


def test_steps_compile_once_whatever_the_tail(ragged):
    program, state, recorder = ragged
    assert int(state.step) == 6
    assert [row["epoch"] for row in recorder.rows] == [1, 2]
    steps = program.steps
    for compiled in (steps.train, steps.evaluate, steps.end_epoch):
        assert compiled._cache_size() == 1


def test_the_history_records_how_far_steps_go(ragged):
    _, state, recorder = ragged
    for row in recorder.rows:
        assert row["gradient_norm"] > 0
        # With a learning rate of 0.05 a step is that share of the gradient, apart from momentum.
        assert 0 < row["update_norm"] < row["gradient_norm"]
        assert row["parameter_norm"] > row["update_norm"]
    squares = [float((leaf**2).sum()) for leaf in jax.tree.leaves(state.variables["params"])]
    assert recorder.rows[-1]["parameter_norm"] == pytest.approx(sum(squares) ** 0.5, rel=1e-5)
    assert float(state.norms.gradient) == float(state.norms.update) == 0


def test_some_steps_are_traced_for_the_profiler(tmp_path):
    with profiled(tmp_path) as before_step:
        for step in range(20):
            before_step(step)
            jax.block_until_ready(jax.numpy.ones(3) + step)
    assert list(tmp_path.rglob("*.xplane.pb"))
    with profiled(None) as before_step:
        before_step(0)


def test_an_implicit_transfer_ends_the_epoch():
    program = assembled(tiny_config(epochs=1), train=pattern_faces(16))

    def careless(state, batch):
        return state, jax.numpy.sum(np.zeros(3, np.float32))

    program = program._replace(steps=dataclasses.replace(program.steps, train=careless))
    with pytest.raises(RuntimeError, match="Disallowed host-to-device transfer"):
        finished(program)


@pytest.mark.long
def test_steps_compile_once_for_each_size_of_faces_that_grow():
    config = tiny_config(epochs=4, resolution__start=32, resolution__grow_over=0.5)
    program = assembled(config, train=pattern_faces(16))
    _, recorder = finished(program)
    assert [row["face_size"] for row in recorder.rows] == [32, 40, 48, 48]
    assert program.steps.train._cache_size() == program.steps.evaluate._cache_size() == 3


def test_every_face_counts_once_in_the_figures_of_an_epoch(ragged):
    program, state, _ = ragged
    report, logits = validate(program, state.evaluated, program.plan.validation)
    assert report["count"] == 23
    assert logits.shape == (23, 7)
    alone = validate(program, state.evaluated, program.plan.validation.take(np.arange(22, 23)))[1]
    np.testing.assert_allclose(alone[0], logits[22], atol=1e-4)


def test_eight_devices_compute_what_one_does(ragged):
    program, state, recorder = ragged
    plan = program.plan
    wide = assembled(plan.config, train=plan.train, validation=plan.validation, devices=8)
    state8, recorder8 = finished(wide)
    assert jax.tree.leaves(state8.variables)[0].sharding.device_set == set(jax.devices()[:8])
    np.testing.assert_allclose(recorder8.losses, recorder.losses, rtol=1e-4)
    for one, eight in zip(
        jax.tree.leaves(state.variables), jax.tree.leaves(state8.variables), strict=True
    ):
        np.testing.assert_allclose(eight, one, atol=2e-4)


@pytest.mark.long
def test_the_network_overfits_32_faces():
    config = short_config(
        epochs=60,
        batch_size=32,
        eval_batch_size=32,
        ema_decay=0.9,
        loss__label_smoothing=0.0,
        model__dropout=0.0,
        augment__rotate_degrees=0.0,
        augment__scale=0.0,
        augment__translate=0.0,
        augment__flip=False,
        augment__erase_probability=0.0,
    )
    rng = np.random.default_rng(0)
    faces = pattern_faces(32)
    noise = rng.integers(0, 256, faces.images.shape, dtype=np.uint8)
    shuffled = rng.permutation(faces.labels)
    faces = dataclasses.replace(faces, images=noise, labels=shuffled)
    _, recorder = finished(assembled(config, train=faces))
    assert recorder.rows[-1]["validation_accuracy"] == 1.0
    assert recorder.rows[-1]["validation_loss"] < 0.3


def test_mixed_examples_weights_and_soft_targets_train_too():
    config = tiny_config(
        loss__mixup=0.2,
        loss__cutmix=1.0,
        loss__class_weights="balanced",
        optim__name="sgd",
        optim__learning_rate=0.05,
        optim__schedule="cosine",
        ema_decay=0.0,
        data__balanced_sampling=True,
        data__labels="votes",
    )
    faces = pattern_faces(64)
    own = [FERPLUS_TO_INDEX.index(label) for label in range(7)]
    votes = np.zeros((64, 10), np.float32)
    votes[np.arange(64), np.array(own)[faces.labels]] = 6
    votes[np.arange(64), np.array(own)[(faces.labels + 1) % 7]] = 4
    program = assembled(config, train=dataclasses.replace(faces, votes=votes))
    np.testing.assert_allclose(np.sort(program.plan.targets, axis=1)[:, 5:], [[0.4, 0.6]] * 64)
    state, recorder = finished(program)
    assert state.ema == {}
    assert np.isfinite(recorder.losses).all()


def test_a_non_finite_loss_ends_the_run_with_what_to_try():
    config = tiny_config(epochs=30, optim__learning_rate=1e30, optim__clip_norm=0.0)
    with pytest.raises(TrainingError, match=r"loss is .* try a lower config\.optim\.learning_rate"):
        finished(assembled(config, train=pattern_faces(32)))


def test_a_request_to_stop_takes_effect_before_the_next_step():
    program = assembled(tiny_config(), train=pattern_faces(64))
    asked = iter([False, False, True])
    with pytest.raises(loop.RunInterrupted) as stop:
        loop.run(
            program,
            program.steps.init(),
            reporter=Recorder(),
            save=lambda state, row, kept: None,
            should_stop=lambda: next(asked),
        )
    assert int(stop.value.state.step) == 2
