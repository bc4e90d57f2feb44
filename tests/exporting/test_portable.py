import io
import json
import subprocess
import sys
import zipfile

import jax
import numpy as np
import pytest

from fer_jax import Predictor, command, export
from fer_jax.exporting.portable import stablehlo
from fer_jax.expressions import EXPRESSIONS
from fer_jax.saved_model import load_model
from tests.factories import pattern_faces
from tests.small_checkpoint import write_workdir

USER = """
import json, sys, zipfile
import numpy as np
from jax import export

with zipfile.ZipFile(sys.argv[1]) as file:
    labels = json.loads(file.read("metadata.json"))["labels"]
    network = export.deserialize(bytearray(file.read("model.stablehlo")))
faces = np.load(sys.argv[2])
for count in (1, 3, len(faces)):
    probabilities = np.asarray(network.call(faces[:count]))
np.save(sys.argv[3], probabilities)
assert not {"flax", "fer_jax", "orbax"} & {name.partition(".")[0] for name in sys.modules}
"""


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return write_workdir(tmp_path_factory.mktemp("run") / "small")


def test_a_network_of_fixed_size_layers_takes_any_batch_in_stablehlo(tmp_path):
    saved = load_model(write_workdir(tmp_path / "seed", model__name="seed_cnn"))
    with zipfile.ZipFile(io.BytesIO(stablehlo(saved))) as file:
        network = jax.export.deserialize(bytearray(file.read("model.stablehlo")))
    assert network.in_avals[0].shape[1:] == (48, 48)
    assert not isinstance(network.in_avals[0].shape[0], int)


def test_a_stablehlo_file_gives_the_same_probabilities_without_flax(workdir, tmp_path):
    out = tmp_path / "small.zip"
    line = ["--format", "stablehlo", "--checkpoint", str(workdir), "--out", str(out)]
    assert command.run(export.main, line) == 0
    with zipfile.ZipFile(out) as file:
        told = json.loads(file.read("metadata.json"))
    predictor = Predictor.load(workdir, max_batch=4)
    assert told["labels"] == list(EXPRESSIONS)
    assert told["platforms"] == ["cpu", "cuda", "tpu"]
    assert (told["temperature"], told["uncertain_below"]) == (1.7, 0.3)
    assert (told["digest"], told["dataset"]) == (predictor.saved.digest, "folder")

    faces = pattern_faces(6).images
    np.save(tmp_path / "faces.npy", faces)
    files = [str(tmp_path / name) for name in ("small.zip", "faces.npy", "answer.npy")]
    subprocess.run([sys.executable, "-I", "-c", USER, *files], check=True, cwd=tmp_path)
    answer = np.load(tmp_path / "answer.npy")
    np.testing.assert_allclose(answer, predictor(faces).probabilities, atol=1e-5)


def test_an_unknown_format_is_refused_with_the_known_ones(tmp_path, capsys):
    assert command.run(export.main, ["--format", "tflite", "--out", str(tmp_path / "x")]) == 2
    said = capsys.readouterr().err
    assert "stablehlo" in said
    assert "onnx" in said
    assert list(tmp_path.iterdir()) == []
