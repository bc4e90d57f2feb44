import json
from pathlib import Path

import cv2
import jax
import matplotlib
import numpy as np
import pytest

from fer_jax import Predictor, command, explain
from fer_jax.expressions import EXPRESSIONS
from fer_jax.inference.grad_cam import class_maps_function
from fer_jax.pretrained import DEFAULT, shipped_names
from tests.factories import pattern_faces
from tests.small_checkpoint import write_workdir

PHOTO = Path(matplotlib.get_data_path(), "sample_data", "grace_hopper.jpg")


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return write_workdir(tmp_path_factory.mktemp("run") / "small")


@pytest.fixture(scope="module")
def predictor(workdir):
    return Predictor.load(workdir, max_batch=4)


@pytest.mark.parametrize("name", ["resnet_small", "seed_cnn"])
def test_each_face_has_its_own_seven_maps(name, tmp_path):
    path = write_workdir(tmp_path / "run", model__name=name)
    predictor = Predictor.load(path, max_batch=2)
    faces = pattern_faces(2).images
    function, variables = class_maps_function(predictor.saved)
    maps = np.asarray(jax.jit(function)(variables, faces))
    assert maps.shape[:2] == (2, 7)
    assert maps.min() == 0
    assert maps.max() > 0
    alone = np.asarray(jax.jit(function)(variables, faces[1:]))
    np.testing.assert_allclose(maps[1:], alone, rtol=1e-3, atol=1e-5)


def test_maps_lie_over_the_face_and_reach_one(predictor):
    faces = pattern_faces(5).images  # more than the largest batch
    explanation = predictor.explain(faces)
    assert explanation.maps.shape == (5, 48, 48)
    assert explanation.expressions == predictor(faces).expressions
    most = explanation.maps.max(axis=(1, 2))
    assert np.all((most == 0) | np.isclose(most, 1))
    assert most.max() == pytest.approx(1)
    one = predictor.explain(faces[3:4], expression=explanation.expressions[3])
    np.testing.assert_allclose(one.maps[0], explanation.maps[3], atol=1e-3)


def test_another_expression_and_other_weights_give_other_maps(predictor, tmp_path):
    faces = pattern_faces(4).images
    maps = {name: predictor.explain(faces, expression=name).maps for name in EXPRESSIONS}
    assert all(np.abs(maps["happy"] - maps[name]).max() > 0.1 for name in ("angry", "sad"))
    other = write_workdir(tmp_path / "other", seed=1)
    other_maps = Predictor.load(other, max_batch=4).explain(faces, expression="happy").maps
    assert np.abs(maps["happy"] - other_maps).mean() > 0.05


@pytest.mark.parametrize("wrong", ["joy", ["happy"]])
def test_an_unknown_expression_is_refused_with_the_known_ones(predictor, wrong):
    with pytest.raises(ValueError, match="angry, disgust"):
        predictor.explain(pattern_faces(2).images, expression=wrong)


def test_the_command_draws_every_face_and_reports_photos_without_one(workdir, tmp_path, capsys):
    blank = tmp_path / "blank.png"
    cv2.imwrite(str(blank), np.full((80, 80), 128, np.uint8))
    out = tmp_path / "why"
    line = [str(PHOTO), str(blank), str(PHOTO), "--checkpoint", str(workdir), "--out", str(out)]
    assert command.run(explain.main, line) == 0
    photos = json.loads((out / "explain.json").read_text())["photos"]
    assert [len(photo["faces"]) for photo in photos] == [1, 0, 1]
    assert sum(photos[0]["faces"][0]["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert photos[0]["faces"][0]["quality"] == "ok"
    for photo in (photos[0], photos[2]):
        assert cv2.imread(str(out / photo["image"])).shape[1] > 800
    assert photos[0]["image"] != photos[2]["image"]
    assert "no face was found" in capsys.readouterr().out


def test_an_unreadable_photo_ends_in_one_line(workdir, tmp_path, capsys):
    text = tmp_path / "text.jpg"
    text.write_text("not an image")
    line = [str(text), "--checkpoint", str(workdir), "--out", str(tmp_path / "why")]
    assert command.run(explain.main, line) == 2
    assert str(text) in capsys.readouterr().err


def test_erasing_what_a_map_shows_costs_more_than_erasing_as_much_elsewhere(public_test):
    if DEFAULT not in shipped_names():
        pytest.skip("no checkpoint is released into the package")
    predictor = Predictor.load()
    rng = np.random.default_rng(0)
    faces = public_test[rng.permutation(len(public_test))[:200]]
    before = predictor(faces)
    maps = predictor.explain(faces).maps
    shown, random = faces.copy(), faces.copy()
    for k, (face, values) in enumerate(zip(faces, maps, strict=True)):
        erased = values >= np.quantile(values, 0.85)
        shown[k][erased] = round(float(face.mean()))
        down, right = rng.integers(0, 48, 2)  # the same region elsewhere
        random[k][np.roll(erased, (down, right), (0, 1))] = round(float(face.mean()))
    classes = before.probabilities.argmax(axis=1)
    rows = np.arange(len(faces))
    costs = [
        (before.probabilities - predictor(erased).probabilities)[rows, classes].mean()
        for erased in (shown, random)
    ]
    assert costs[0] > costs[1] + 0.02
