import itertools
import json
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.cbook
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_jax import Predictor, models
from fer_jax.errors import CheckpointError
from fer_jax.evaluation import evaluation
from fer_jax.expressions import EXPRESSIONS
from fer_jax.faces.detect import WholeImage
from fer_jax.faces.preprocess import grey_face
from fer_jax.inference import compilation
from fer_jax.inference.buckets import Buckets, bucket_sizes, next_size
from fer_jax.inference.compilation import CompileCounter, compile_inference, use_private_cache
from fer_jax.inference.crops import as_faces
from fer_jax.machine import processor, sharding
from fer_jax.media.images import read_image
from fer_jax.models.folding import apply_folded, fold_batch_norm
from fer_jax.models.probabilities import softmax
from fer_jax.saved_model import SHIPPED, load_model
from tests.factories import pattern_faces
from tests.small_checkpoint import STEP, random_variables, write_workdir

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
    """Logits of `FACES`, each asked for alone."""
    return np.concatenate([predictor.logits(FACES[k : k + 1]) for k in range(len(FACES))])


@pytest.fixture(scope="module")
def photo():
    path = matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)
    return read_image(Path(str(path)))


# ---- the same numbers as in training


def test_the_predictor_gives_the_logits_of_the_training_pipeline(workdir, predictor):
    faces = pattern_faces(23)
    eval_step = evaluation.compile_eval_step(models.build("resnet_small"))
    mesh = sharding.data_mesh(devices=1, batch_size=16)
    variables = load_model(workdir).variables
    _, expected = evaluation.evaluate(eval_step, variables, faces, mesh=mesh, batch_size=16)
    assert np.ptp(expected) > 1
    np.testing.assert_allclose(predictor.logits(faces.images), expected, atol=1e-5)


def test_folding_leaves_no_norm_and_changes_no_logit():
    model = models.build("seed_cnn")  # norms after convolutions with a bias, and after dense layers
    variables = random_variables(model)
    x = np.random.default_rng(0).normal(size=(2, 48, 48, 1)).astype(np.float32)
    folded = fold_batch_norm(model, variables, example=jax.ShapeDtypeStruct(x.shape, x.dtype))
    assert folded["batch_stats"] == {}
    expected = jax.jit(lambda v, x: model.apply(v, x, train=False))(variables, x)
    found = jax.jit(lambda v, x: apply_folded(model, v, x))(folded, x)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_cpu_is_called_by_its_first_model_name():
    text = "processor\t: 0\nmodel name\t: A: B\nflags\t\t: fpu\n\nmodel name\t: C\n"
    assert processor.model_name(text) == "A: B"
    assert processor.model_name("Features\t: fp bf16\n") is None
    assert processor.cpu_name()


# ---- what it answers


def test_probabilities_are_calibrated_by_the_card_and_doubts_are_told(predictor):
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


def test_pictures_of_any_size_and_colour_are_seen_as_grey_faces(predictor):
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
        (FACES[0], ValueError, r"\[N, H, W\].*\(48, 48\); pass one picture as \[picture\]"),
        (np.zeros((90, 90, 3), np.uint8), ValueError, r"pass one picture as \[picture\]"),
        (np.zeros((2, 48, 48, 2), np.uint8), ValueError, r"images\[0\]: .*\(48, 48, 2\)"),
        ([FACES[0], FACES[1] * 1.0], ValueError, r"images\[1\]: .*float64"),
        ([FACES[0], np.zeros((0, 48), np.uint8)], ValueError, r"images\[1\]: .*\(0, 48\)"),
        (["face.jpg"], TypeError, r"images\[0\] must be a uint8 array, got str"),
        ("face.jpg", TypeError, r"an array or a list of arrays, got str"),
    ],
)
def test_what_is_no_face_is_refused_by_its_place_and_reason(images, error, message):
    with pytest.raises(error, match=message):
        as_faces(images)


def test_a_photograph_gives_its_face_with_all_that_is_known_of_it(predictor, photo):
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


# ---- batches


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(st.integers(0, len(FACES) - 1), max_size=2 * MAX_BATCH + 1))
def test_any_number_of_faces_gives_what_each_alone_gives(predictor, one_by_one, rows):
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


@given(st.integers(1, 300), st.integers(1, 9))
def test_bucket_sizes_reach_the_largest_batch_by_doubling_at_most(max_rows, devices):
    sizes = bucket_sizes(max_rows, devices=devices)
    assert sizes[0] == 1
    assert max_rows <= sizes[-1] < max_rows + devices
    assert all(a < b <= 2 * a for a, b in itertools.pairwise(sizes))
    assert all(size % devices == 0 for size in sizes if size > devices)


@given(
    st.integers(1, 200),
    st.sets(st.sampled_from(bucket_sizes(64)[1:])),
    st.sampled_from([0.5, 0.15]),
)
def test_no_batch_is_padded_too_much_and_none_is_left_out(rows, ready, padding):
    size = next_size(rows, [1, *ready], padding=padding)
    assert size in {1, *ready}
    assert size - rows < padding * size
    if len(ready) == 6 and padding == 0.5:
        assert size >= min(rows, 64)


def doubled(constants, rows):
    return rows * constants


def row_buckets(function, *, max_rows=8, devices=1):
    row = jax.ShapeDtypeStruct((3,), np.float32)
    two = np.float32(2)
    return Buckets(function, two, row=row, max_rows=max_rows, devices=jax.devices()[:devices])


def test_calls_use_the_sizes_there_are_while_others_compile():
    compiling, go_on = threading.Event(), threading.Event()

    def slow_to_trace(constants, rows):
        if len(rows) > 1:
            compiling.set()
            assert go_on.wait(timeout=60)
        return doubled(constants, rows)

    buckets = row_buckets(slow_to_trace)
    assert compiling.wait(timeout=60)
    rows = np.arange(33, dtype=np.float32).reshape(11, 3)
    np.testing.assert_array_equal(buckets(rows), rows * 2)
    go_on.set()
    buckets.wait()
    np.testing.assert_array_equal(buckets(rows), rows * 2)
    assert buckets.recompiles == 0


def test_a_size_that_does_not_compile_is_no_secret():
    def fails_at_four(constants, rows):
        if len(rows) == 4:
            raise MemoryError("too large for the device")
        return doubled(constants, rows)

    buckets = row_buckets(fails_at_four)
    for ask in (buckets.wait, lambda: buckets(np.zeros((1, 3), np.float32))):
        with pytest.raises(MemoryError, match="too large"):
            ask()


def test_large_batches_are_spread_over_all_devices():
    devices_of = {}

    def watched(constants, rows):
        note = lambda sharding: devices_of.update({len(rows): sharding.num_devices})  # noqa: E731
        jax.debug.inspect_array_sharding(rows, callback=note)
        return doubled(constants, rows)

    buckets = row_buckets(watched, max_rows=12, devices=6)
    buckets.wait()
    assert devices_of == {1: 1, 2: 1, 4: 1, 6: 6, 12: 6}
    rows = np.arange(3 * 23, dtype=np.float32).reshape(23, 3)
    np.testing.assert_array_equal(buckets(rows), rows * 2)
    assert buckets.recompiles == 0


def test_a_late_compilation_is_counted_for_the_thread_that_caused_it():
    counter = CompileCounter()
    row = jnp.arange(3.0)
    with counter:
        elsewhere = threading.Thread(target=lambda: jax.jit(lambda x: x * 3 + 1)(row))
        elsewhere.start()
        elsewhere.join()
        assert counter.count == 0
        jax.jit(lambda x: x * 5 + 1)(row)
    assert counter.count == 1


# ---- checkpoints


def test_a_workdir_its_checkpoints_and_one_of_them_name_the_same_network(workdir):
    found = [load_model(workdir / place) for place in ("", "checkpoints", f"checkpoints/{STEP}")]
    assert len({saved.digest for saved in found}) == 1
    assert all(saved.step == STEP and saved.card["temperature"] == 1.7 for saved in found)


@pytest.fixture
def copied(workdir, tmp_path):
    return Path(shutil.copytree(workdir, tmp_path / "copy"))


def refusal(path) -> str:
    with pytest.raises(CheckpointError) as refused:
        Predictor.load(path)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_a_missing_checkpoint_is_named(tmp_path):
    assert f"{tmp_path}/none: holds no checkpoint" in refusal(tmp_path / "none")


def test_weights_that_are_not_the_ones_of_the_card_are_refused(copied):
    card = json.loads((copied / "card.json").read_text())
    (copied / "card.json").write_text(json.dumps({**card, "digest": "0" * 64}))
    assert "are not the ones that card.json tells of" in refusal(copied)
    (copied / "card.json").write_text("{")
    assert "card.json: can not be read" in refusal(copied)
    (copied / "card.json").write_text(json.dumps({**card, "temperature": 0}))
    assert "positive numbers, got 0" in refusal(copied)


def test_a_damaged_checkpoint_is_refused_whichever_file_is_cut(copied):
    model = copied / "checkpoints" / str(STEP) / "model"
    files = (path for path in model.rglob("*") if path.is_file())
    largest = max(files, key=lambda path: path.stat().st_size)
    for path in (largest, model / "_METADATA", model / "manifest.ocdbt"):
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        assert "can not be read as a checkpoint" in refusal(copied)
        path.write_bytes(whole)
    load_model(copied)


def test_an_unknown_or_mistaken_network_is_refused(copied):
    about = copied / "checkpoints" / str(STEP) / "about" / "metadata"
    text = about.read_text()
    about.write_text(text.replace("resnet_small", "resnet_smal"))
    assert "'resnet_smal', which this version of fer_jax does not have" in refusal(copied)
    assert "resnet_small?" in refusal(copied)
    about.write_text(text.replace("resnet_small", "seed_cnn"))
    assert "its weights do not fit its network" in refusal(copied)
    about.write_text("{}")
    assert "does not tell its network" in refusal(copied / "checkpoints" / str(STEP))


def test_a_run_without_a_card_answers_uncalibrated_and_says_so(copied):
    (copied / "card.json").unlink()
    with pytest.warns(UserWarning, match="no card tells how to calibrate it"):
        predictor = Predictor.load(copied, max_batch=1)
    assert (predictor.temperature, predictor.uncertain_below) == (1.0, 0.5)


@pytest.mark.skipif(not SHIPPED.exists(), reason="no checkpoint is shipped in this tree")
def test_the_shipped_checkpoint_sees_a_calm_face_in_a_calm_portrait(photo):
    predictor = Predictor.load(max_batch=1)
    (face,) = predictor.analyze(photo)
    calm = sum(face.probabilities[predictor.labels.index(name)] for name in ("happy", "neutral"))
    assert calm > 0.5


# ---- start-up


def test_importing_the_package_costs_nothing_and_inference_no_training_library():
    code = """if True:
        import sys
        import fer_jax
        assert not {"jax", "numpy", "cv2"} & set(sys.modules)
        from fer_jax import Predictor
        heavy = {"optax", "tensorflow_datasets", "matplotlib", "scipy.optimize", "aiohttp"}
        assert not heavy & set(sys.modules), heavy & set(sys.modules)
    """
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_compiled_programs_are_kept_in_a_private_folder(tmp_path, monkeypatch):
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    before = {name: getattr(jax.config, name) for name in names}
    monkeypatch.setenv("FER_CACHE_DIR", str(tmp_path))
    (tmp_path / "xla").mkdir(mode=0o777)
    assert use_private_cache() is None  # the tests have a cache of their own
    try:
        jax.config.update(names[0], None)
        folder = use_private_cache()
    finally:
        for name, value in before.items():
            jax.config.update(name, value)
    assert folder == tmp_path / "xla"
    assert folder.stat().st_mode & 0o777 == 0o700


def test_an_unknown_option_of_the_compiler_is_left_out(monkeypatch):
    lowered = jax.jit(lambda x: x + 1).lower(np.float32(1))
    assert compile_inference(lowered, platform="cpu")(np.float32(1)) == 2
    monkeypatch.setattr(compilation, "_CPU_OPTIONS", {"xla_cpu_nonsense": ""})
    assert compile_inference(lowered, platform="cpu")(np.float32(1)) == 2
    monkeypatch.setattr(
        compilation, "_CPU_OPTIONS", dict.fromkeys(compilation._CPU_OPTIONS, "NONSENSE")
    )
    assert compile_inference(lowered, platform="cpu")(np.float32(1)) == 2
    monkeypatch.setattr(compilation, "_CPU_OPTIONS", {"xla_cpu_multi_thread_eigen": "maybe"})
    with pytest.raises(jax.errors.JaxRuntimeError):
        compile_inference(lowered, platform="cpu")
