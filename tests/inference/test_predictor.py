"""`Predictor`: the outputs of training, calibrated, for any images, from any thread."""

import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import matplotlib.cbook
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_jax import Predictor, models
from fer_jax.evaluation import evaluation
from fer_jax.expressions import EXPRESSIONS
from fer_jax.faces.detect import WholeImage
from fer_jax.faces.preprocess import grey_face
from fer_jax.inference.crops import as_faces
from fer_jax.machine import sharding
from fer_jax.media.images import read_image
from fer_jax.models.probabilities import softmax
from fer_jax.pretrained import DEFAULT, shipped_names
from fer_jax.saved_model import load_model
from tests.factories import pattern_faces
from tests.small_checkpoint import write_workdir

MAX_BATCH = 4
FACES = pattern_faces(12).images


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return write_workdir(tmp_path_factory.mktemp("run") / "small")


@pytest.fixture(scope="module")
def predictor(workdir):
    predictor = Predictor.load(workdir, max_batch=MAX_BATCH)
    predictor.wait()
    return predictor


@pytest.fixture(scope="module")
def one_by_one(predictor):
    """Logits of `FACES`, each predicted alone."""
    return np.concatenate([predictor.logits(FACES[k : k + 1]) for k in range(len(FACES))])


@pytest.fixture(scope="module")
def photo():
    path = matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)
    return read_image(Path(str(path)))


@pytest.fixture
def copied(workdir, tmp_path):
    return Path(shutil.copytree(workdir, tmp_path / "copy"))


def test_the_predictor_gives_the_logits_of_the_training_pipeline(workdir, predictor):
    faces = pattern_faces(23)
    mesh = sharding.data_mesh(devices=1, batch_size=16)
    eval_step = evaluation.compile_eval_step(models.build("resnet_small"), mesh)
    variables = load_model(workdir).variables
    _, expected = evaluation.evaluate(eval_step, variables, faces, mesh=mesh, batch_size=16)
    assert np.ptp(expected) > 1
    np.testing.assert_allclose(predictor.logits(faces.images), expected, atol=1e-5)


def test_probabilities_are_calibrated_by_the_card_and_uncertain_ones_are_marked(predictor):
    prediction = predictor(FACES)
    expected = softmax(predictor.logits(FACES) / 1.7)
    assert prediction.probabilities.dtype == np.float32
    np.testing.assert_allclose(prediction.probabilities, expected, atol=1e-6)
    assert prediction.labels == EXPRESSIONS
    assert prediction.expressions == tuple(EXPRESSIONS[k] for k in expected.argmax(axis=1))
    np.testing.assert_array_equal(prediction.uncertain, expected.max(axis=1) < 0.3)
    assert len(prediction) == 12


def test_flip_averages_a_face_with_its_mirror_image(predictor):
    mirrored = FACES[:, :, ::-1]
    expected = (predictor(FACES).probabilities + predictor(mirrored).probabilities) / 2
    np.testing.assert_allclose(predictor(FACES, flip=True).probabilities, expected, atol=1e-6)
    assert not np.allclose(predictor(FACES).probabilities, expected, atol=1e-3)


def test_images_of_any_size_and_colour_are_seen_as_grey_faces(predictor):
    rng = np.random.default_rng(0)
    shapes = ((60, 50), (96, 97, 3), (30, 40, 4), (48, 48, 1), (48, 48))
    images = [rng.integers(0, 256, shape, dtype=np.uint8) for shape in shapes]
    expected = predictor(np.stack([grey_face(image) for image in images]))
    np.testing.assert_array_equal(predictor(images).probabilities, expected.probabilities)
    batch = rng.integers(0, 256, (3, 64, 70, 3), dtype=np.uint8)
    np.testing.assert_array_equal(predictor.logits(batch), predictor.logits(list(batch)))
    for none in ([], np.empty((0, 30, 30), np.uint8)):
        assert predictor(none).probabilities.shape == (0, 7)


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        (FACES / 255, ValueError, r"must be uint8.*float64 \(12, 48, 48\)"),
        (FACES[0], ValueError, r"\[N, H, W\].*\(48, 48\); pass one image as \[image\]"),
        (np.zeros((90, 90, 3), np.uint8), ValueError, r"pass one image as \[image\]"),
        (np.zeros((2, 48, 48, 2), np.uint8), ValueError, r"images\[0\]: .*\(48, 48, 2\)"),
        ([FACES[0], FACES[1] * 1.0], ValueError, r"images\[1\]: .*float64"),
        ([FACES[0], np.zeros((0, 48), np.uint8)], ValueError, r"images\[1\]: .*\(0, 48\)"),
        (["face.jpg"], TypeError, r"images\[0\] must be a uint8 array, got str"),
        ("face.jpg", TypeError, r"an array or a list of arrays, got str"),
    ],
)
def test_an_invalid_face_is_refused_with_its_index_and_the_reason(images, error, message):
    with pytest.raises(error, match=message):
        as_faces(images)


def test_a_photograph_gives_its_face_with_every_attribute(predictor, photo):
    (face,) = predictor.analyze(photo)
    x, y, width, height = face.box
    assert 0 < x < x + width < photo.shape[1]
    assert 0 < y < y + height < photo.shape[0]
    assert face.landmarks.shape == (5, 2)
    assert 0.6 < face.detection_score <= 1
    assert face.probabilities.sum() == pytest.approx(1, abs=1e-5)
    assert face.confidence == face.probabilities.max()
    assert face.expression == EXPRESSIONS[face.probabilities.argmax()]
    assert face.uncertain == (face.confidence < 0.3)


def test_grey_and_transparent_photographs_are_analysed_too(predictor, photo):
    opaque = np.full((*photo.shape[:2], 1), 255, np.uint8)
    (face,) = predictor.analyze(np.concatenate([photo, opaque], axis=2))
    np.testing.assert_array_equal(face.probabilities, predictor.analyze(photo)[0].probabilities)
    (whole,) = predictor.analyze(FACES[0], detector=WholeImage())
    np.testing.assert_allclose(
        whole.probabilities, predictor(FACES[:1]).probabilities[0], atol=1e-6
    )
    assert predictor.analyze(np.zeros((120, 160), np.uint8)) == []
    with pytest.raises(ValueError, match=r"1, 3 or 4 channels, got \(48, 48, 2\)"):
        predictor.analyze(np.zeros((48, 48, 2), np.uint8))


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(st.integers(0, len(FACES) - 1), max_size=2 * MAX_BATCH + 1))
def test_any_number_of_faces_gives_the_same_as_each_alone(predictor, one_by_one, rows):
    found = predictor.logits(FACES[np.array(rows, int)])
    assert found.shape == (len(rows), 7)
    np.testing.assert_allclose(found, one_by_one[np.array(rows, int)], atol=1e-5)
    assert predictor.recompiles == 0


def test_eight_threads_at_once_get_their_own_answers(predictor, one_by_one, photo):
    start = threading.Barrier(8)

    def ask(thread):
        start.wait(timeout=30)
        mine = np.arange(thread, len(FACES))
        answers = [predictor.logits(FACES[mine]) for _ in range(5)]
        return mine, answers, predictor.analyze(photo)[0].box

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(ask, range(8)))
    for mine, answers, box in results:
        assert box == results[0][2]
        for answer in answers:
            np.testing.assert_allclose(answer, one_by_one[mine], atol=1e-5)
    assert predictor.recompiles == 0


def test_a_run_without_a_card_answers_uncalibrated_and_says_so(copied):
    (copied / "card.json").unlink()
    with pytest.warns(UserWarning, match="no card holds its calibration"):
        predictor = Predictor.load(copied, max_batch=1)
    assert (predictor.temperature, predictor.uncertain_below) == (1.0, 0.5)


@pytest.mark.skipif(DEFAULT not in shipped_names(), reason="no checkpoint is shipped in this tree")
def test_the_shipped_checkpoint_sees_a_calm_face_in_a_calm_portrait(photo):
    predictor = Predictor.load(max_batch=1)
    (face,) = predictor.analyze(photo)
    calm = sum(face.probabilities[predictor.labels.index(name)] for name in ("happy", "neutral"))
    assert calm > 0.5


def test_importing_the_package_loads_nothing_and_inference_no_training_library():
    code = """if True:
        import sys
        import fer_jax
        assert not {"jax", "numpy", "cv2"} & set(sys.modules)
        from fer_jax import Predictor
        heavy = {"optax", "tensorflow_datasets", "matplotlib", "scipy.optimize", "aiohttp"}
        assert not heavy & set(sys.modules), heavy & set(sys.modules)
    """
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
