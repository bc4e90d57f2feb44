import json

import numpy as np
import pytest

from fer_jax import Predictor, command, train
from fer_jax.saved_model import load_model
from fer_jax.training.distillation import blend, teacher_targets
from tests.factories import pattern_faces
from tests.small_checkpoint import write_workdir

SHORT = ("epochs=1", "batch_size=32", "data.name=synthetic", "data.synthetic_train=96")
SHORT += ("data.synthetic_validation=32", "loss.label_smoothing=0", "resolution.start=48")


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    return write_workdir(tmp_path_factory.mktemp("teacher") / "run")


def taught_run(folder, teacher):
    line = ["--config=configs/base.py", f"--workdir={folder}", f"--config.loss.teacher={teacher}"]
    return command.run(train.main, [*line, *(f"--config.{setting}" for setting in SHORT)])


def test_a_teacher_says_of_a_face_what_its_predictor_says(teacher):
    faces = pattern_faces(20)
    taught = teacher_targets(load_model(teacher), faces)
    answers = Predictor.load(teacher, max_batch=4)(faces.images, flip=True)
    np.testing.assert_allclose(taught, answers.probabilities, atol=1e-5)


def test_targets_are_blended_by_share():
    labels, taught = np.eye(7, dtype=np.float32)[:2], np.full((2, 7), 1 / 7, np.float32)
    np.testing.assert_array_equal(blend(labels, taught, share=0.0), labels)
    np.testing.assert_allclose(blend(labels, taught, share=0.7)[0], [0.4] + [0.1] * 6, atol=1e-6)


def test_a_run_tells_which_teacher_it_had_and_goes_on_with_no_other(teacher, tmp_path, capsys):
    folder = tmp_path / "run"
    assert taught_run(folder, teacher) == 0
    assert json.loads((folder / "card.json").read_text())["teacher"] == load_model(teacher).digest
    assert taught_run(folder, folder) == 2
    assert "another teacher" in capsys.readouterr().err
