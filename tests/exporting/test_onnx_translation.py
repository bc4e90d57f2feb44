import json
import subprocess
import sys
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import onnx
import onnxruntime
import pytest

from fer_jax import Predictor, command, export, models
from fer_jax.errors import FerError
from fer_jax.exporting.onnx_translation import translate
from fer_jax.exporting.portable import TOLERANCE, metadata, onnx_difference, onnx_model
from fer_jax.models.standardise import standardise
from fer_jax.pretrained import DEFAULT, shipped_names
from fer_jax.saved_model import load_model
from tests.factories import pattern_faces
from tests.small_checkpoint import write_workdir

needs_shipped = pytest.mark.skipif(
    DEFAULT not in shipped_names(), reason="no checkpoint is shipped in this tree"
)


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return write_workdir(tmp_path_factory.mktemp("run") / "small", dataset="fer2013")


@pytest.fixture(scope="module")
def saved(workdir):
    return load_model(workdir)


@pytest.fixture(scope="module")
def content(saved):
    return onnx_model(saved)


def noise(count: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, 48, 48), dtype=np.uint8)


def answer(content: bytes, faces: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(["probabilities"], {"faces": faces})[0]


def arguments(workdir: Path, out: Path) -> list[str]:
    return ["--format", "onnx", "--checkpoint", str(workdir), "--out", str(out)]


@pytest.mark.parametrize("name", models.MODELS)
def test_every_network_gives_its_probabilities_in_onnx_at_any_batch_size(name, tmp_path, capsys):
    workdir = write_workdir(tmp_path / "run", model__name=name)
    out = tmp_path / "small.onnx"
    assert command.run(export.main, arguments(workdir, out)) == 0
    assert "checked: ONNX Runtime's probabilities differ by at most" in capsys.readouterr().out
    onnx.checker.check_model(out, full_check=True)
    faces = np.concatenate([noise(8), pattern_faces(9).images])
    expected = Predictor.load(workdir, max_batch=1)(faces).probabilities
    for count in (1, 3, 17):
        found = answer(out.read_bytes(), faces[:count])
        assert (found.shape, found.dtype) == ((count, 7), np.float32)
        np.testing.assert_allclose(found, expected[:count], atol=1e-5)


def test_an_onnx_file_has_the_metadata_of_a_stablehlo_file(saved, content):
    model = onnx.load_from_string(content)
    told = {entry.key: entry.value for entry in model.metadata_props}
    expected = metadata(saved)
    assert expected["dataset"] == "fer2013"
    for key, value in expected.items():
        assert (told.pop(key) if isinstance(value, str) else json.loads(told.pop(key))) == value
    assert told == {}
    for value in (*model.graph.input, *model.graph.output):
        assert value.type.tensor_type.shape.dim[0].dim_param == "batch"
    assert onnx_model(saved) == content  # nothing in it depends on the time of writing


def test_every_rule_holds_for_any_order_of_axes():
    rng = np.random.default_rng(0)
    kernel, matrix, scale = (
        rng.normal(size=shape).astype(np.float32) for shape in ((3, 2, 2, 6), (6, 5), (1, 24, 1, 1))
    )

    def function(faces: jax.Array) -> jax.Array:
        x = standardise(faces) * jnp.array([1.0, -0.5, 2.0, 0.25])
        x = jax.lax.conv_general_dilated(
            x,
            kernel,
            window_strides=(2, 1),
            padding=((1, 2), (0, 1)),
            rhs_dilation=(1, 2),
            feature_group_count=2,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        x = x[:, :24] * scale + x[:, :24] * x[:, :24, 2::50]
        x = x + x.reshape(len(x), -1).reshape(x.shape)
        x = nn.avg_pool(x, (2, 3), (2, 3), ((0, 0), (1, 1)))
        x = jnp.maximum(x.transpose(0, 2, 3, 1), 0.1).transpose(0, 3, 1, 2)[:, 1::3]
        return jnp.max(x @ matrix, axis=2).reshape(len(x), -1)

    face = jax.ShapeDtypeStruct((48, 48), np.uint8)
    model = translate(function, face, input_name="faces", output_name="probabilities", metadata={})
    for count in (1, 3):
        faces = noise(count)
        expected = jax.jit(function)(faces)
        found = answer(model.SerializeToString(), faces)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda x: jnp.sin(jnp.float32(x)), r"primitive sin in ONNX \(no rule\); export with"),
        (
            lambda x: jnp.float32(x) - jnp.float32(x).sum(0),
            r"reduce_sum in ONNX \(over the batch\)",
        ),
        (lambda x: jnp.ones((len(x), 7)), r"broadcast_in_dim in ONNX \(of a constant for each"),
        (lambda x: jnp.float32(x)[:5], r"slice in ONNX \(of the batch\)"),
    ],
)
def test_an_untranslatable_primitive_is_refused_by_name(function, reason):
    face = jax.ShapeDtypeStruct((48, 48), np.uint8)
    with pytest.raises(FerError, match=reason):
        translate(function, face, input_name="x", output_name="y", metadata={})


def refusal(workdir: Path, out: Path, capsys) -> str:
    assert command.run(export.main, arguments(workdir, out)) == 2
    assert list(out.parent.iterdir()) == []
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    return said.err


def test_without_the_package_onnx_one_line_says_how_to_install_it(
    workdir, tmp_path, capsys, monkeypatch
):
    for name in ("onnx_translation", "onnx_rules", "onnx_graph"):
        monkeypatch.delitem(sys.modules, f"fer_jax.exporting.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "onnx", None)
    said = refusal(workdir, tmp_path / "small.onnx", capsys)
    assert 'writing ONNX needs the package onnx: pip install "fer_jax[export]"' in said


def test_a_file_that_fails_its_check_is_not_written(
    saved, content, workdir, tmp_path, capsys, monkeypatch
):
    other = load_model(write_workdir(tmp_path / "other", seed=1))
    assert onnx_difference(content, saved, noise(5)) < 1e-5
    assert onnx_difference(content, other, noise(5)) > TOLERANCE
    (tmp_path / "out").mkdir()
    monkeypatch.setattr("fer_jax.exporting.portable.onnx_model", lambda saved: onnx_model(other))
    said = refusal(workdir, tmp_path / "out" / "small.onnx", capsys)
    assert "ONNX Runtime's probabilities are off by" in said


def test_a_network_that_computes_in_bfloat16_is_refused(tmp_path, capsys):
    workdir = write_workdir(tmp_path / "run", model__dtype="bfloat16")
    (tmp_path / "out").mkdir()
    said = refusal(workdir, tmp_path / "out" / "small.onnx", capsys)
    assert "computes in bfloat16" in said
    assert "--format stablehlo" in said


def test_importing_the_command_does_not_import_onnx():
    script = "import sys, fer_jax.export; assert not {'onnx', 'onnxruntime'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", script], check=True)


@needs_shipped
def test_the_shipped_network_agrees_on_a_thousand_drawn_faces():
    faces = np.concatenate([noise(500), pattern_faces(500).images])
    predictor = Predictor.load(max_batch=8)
    found = answer(onnx_model(predictor.saved), faces)
    np.testing.assert_allclose(found, predictor(faces).probabilities, atol=1e-4)


@needs_shipped
@pytest.mark.timeout(900)  # unpacks FER2013
def test_the_shipped_network_agrees_on_a_thousand_real_faces(public_test):
    faces = public_test[np.random.default_rng(0).permutation(len(public_test))[:1000]]
    predictor = Predictor.load(max_batch=8)
    found = answer(onnx_model(predictor.saved), faces)
    difference = np.abs(found - predictor(faces).probabilities).max()
    print(f"{len(faces)} faces: probabilities differ by at most {difference:.1g}")
    assert difference < 1e-4
