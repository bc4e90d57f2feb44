import json
import shutil

import jax
import numpy as np
import pytest

from fer_jax import Predictor, command, train
from fer_jax.machine.files import read_rows
from fer_jax.saved_model import load_model, load_models
from fer_jax.training.distillation import blend, teacher_targets
from tests.factories import pattern_faces
from tests.small_checkpoint import STEP, write_workdir

SHORT = ("epochs=1", "batch_size=32", "data.name=synthetic", "data.synthetic_train=96")
SHORT += ("data.synthetic_validation=32", "loss.label_smoothing=0", "resolution.start=48")
SHORT += ("model.name=tiny",)
SHORT += ("devices=1",)  # eight threads on the cores of a small machine wait for each other


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    return write_workdir(tmp_path_factory.mktemp("teacher") / "run", model__name="tiny")


def short_run(folder, *settings):
    line = ["--config=configs/base.py", f"--workdir={folder}"]
    return command.run(
        train.main, [*line, *(f"--config.{setting}" for setting in SHORT + settings)]
    )


def taught_run(folder, teacher):
    return short_run(folder, f"loss.teacher={teacher}")


def test_a_teacher_gives_the_probabilities_of_its_predictor(teacher):
    faces = pattern_faces(20)
    taught = teacher_targets([load_model(teacher)], faces)
    answers = Predictor.load(teacher, max_batch=4)(faces.images, flip=True)
    np.testing.assert_allclose(taught, answers.probabilities, atol=1e-5)


def test_several_teachers_are_averaged(teacher, tmp_path):
    other = write_workdir(tmp_path / "other", model__name="tiny", seed=1)
    faces = pattern_faces(5)
    teachers = load_models(f"{teacher}, {other}")
    assert [network.path.parents[1] for network in teachers] == [teacher, other]
    one, two = (teacher_targets([network], faces) for network in teachers)
    np.testing.assert_allclose(teacher_targets(teachers, faces), (one + two) / 2, atol=1e-6)


def test_targets_are_blended_by_share():
    labels, taught = np.eye(7, dtype=np.float32)[:2], np.full((2, 7), 1 / 7, np.float32)
    np.testing.assert_array_equal(blend(labels, taught, share=0.0), labels)
    np.testing.assert_allclose(blend(labels, taught, share=0.7)[0], [0.4] + [0.1] * 6, atol=1e-6)


def test_a_run_records_its_teacher_and_resumes_with_no_other(teacher, tmp_path, capsys):
    folder = tmp_path / "run"
    assert taught_run(folder, teacher) == 0
    assert json.loads((folder / "card.json").read_text())["teacher"] == load_model(teacher).digest
    assert taught_run(folder, folder) == 2
    assert "another teacher" in capsys.readouterr().err


def test_a_run_starts_from_the_weights_it_is_given(teacher, tmp_path, capsys):
    folder = tmp_path / "run"
    still = (f"start={teacher}", "optim.learning_rate=1e-12", "ema_decay=0")
    assert short_run(folder, *still) == 0
    was, now = load_model(teacher).variables["params"], load_model(folder).variables["params"]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), was, now)
    assert short_run(folder, *still[1:]) == 2
    assert "started elsewhere" in capsys.readouterr().err


@pytest.mark.long
def test_a_run_starts_from_the_mean_of_the_weights_it_is_given(teacher, tmp_path):
    folder, other = tmp_path / "run", write_workdir(tmp_path / "other", model__name="tiny", seed=5)
    still = ("optim.learning_rate=1e-12", "ema_decay=0")
    assert short_run(folder, f"start={teacher},{other}", *still) == 0
    networks = [load_model(path) for path in (teacher, other, folder)]
    jax.tree.map(
        lambda a, b, mean: np.testing.assert_allclose(mean, (a + b) / 2, atol=1e-6),
        *(network.variables["params"] for network in networks),
    )
    told = json.loads((folder / "card.json").read_text())["start"]
    assert told == ",".join(sorted(network.digest for network in networks[:2]))


@pytest.mark.long
def test_a_run_keeps_its_initial_weights_where_no_epoch_is_better(teacher, tmp_path, capsys):
    folder = tmp_path / "run"
    spoiling = (
        f"start={teacher}",
        "optim.learning_rate=0.5",
        "optim.warmup_epochs=0",
        "ema_decay=0",
    )
    assert short_run(folder, *spoiling) == 0
    assert "epoch   0/1  the initial weights  validation loss" in capsys.readouterr().out
    rows = read_rows(folder / "history.jsonl")
    assert [row["epoch"] for row in rows] == [0, 1]
    assert rows[1]["validation_loss"] > rows[0]["validation_loss"]
    was, now = load_model(teacher).variables, load_model(folder).variables
    jax.tree.map(np.testing.assert_array_equal, was, now)
    card = json.loads((folder / "card.json").read_text())
    assert (card["epoch"], card["step"]) == (0, 0)


@pytest.mark.long
def test_a_run_stopped_at_its_start_resumes_as_if_uninterrupted(teacher, tmp_path):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert short_run(whole, f"start={teacher}") == 0
    shutil.copytree(whole, stopped)
    for folder in (stopped / "checkpoints").iterdir():
        if folder.name != "0":  # like a run killed in its first epoch leaves it
            shutil.rmtree(folder)
    assert short_run(stopped, f"start={teacher}") == 0
    assert (stopped / "history.jsonl").read_bytes() == (whole / "history.jsonl").read_bytes()


def test_a_run_cannot_start_from_the_weights_of_another_network(tmp_path, capsys):
    other = write_workdir(tmp_path / "other", model__name="seed_cnn")
    assert short_run(tmp_path / "run", f"start={other}") == 2
    assert "is a seed_cnn, the run trains a tiny" in capsys.readouterr().err
    nameless = write_workdir(tmp_path / "nameless", model__name="tiny") / "checkpoints" / str(STEP)
    (nameless / "about" / "metadata").write_text("{}")
    assert short_run(tmp_path / "run", f"start={nameless}") == 2
    assert "does not name its network" in capsys.readouterr().err
