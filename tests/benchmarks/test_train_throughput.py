"""The training benchmark: its sides, their arguments, and the ratios of their rates."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import train_throughput

from fer_jax.errors import FerError
from tests.other_python import other_python

SHORT = ["--steps", "1", "--rounds", "3", "--batch-size", "4"]
# Plays a side of either framework, because PyTorch is missing and training takes minutes.
SIDE = """
told = sys.argv[1:]
serve({"steps": work, "batches": work}, about=" ".join(told), facts={"parameters": PARAMETERS})
"""


@pytest.fixture
def players(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The path of a Python that has PyTorch and plays every side."""
    path = other_python(tmp_path, SIDE.replace("PARAMETERS", "7"))
    monkeypatch.setattr(sys, "executable", path)
    return path


def test_a_residual_network_is_compared_with_pytorch_in_two_precisions(
    players: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = tmp_path / "report.json"
    line = ["--model", "resnet_small", "--torch-python", players, "--json", str(written), *SHORT]
    assert train_throughput.main(line) == 0
    report = json.loads(written.read_text())
    spreads = ("a device a core", "1 device(s)", "1 device(s), bfloat16")
    ours = [f"resnet_small, fer_jax, {spread}" for spread in spreads]
    theirs = ["PyTorch, float32", "PyTorch, bfloat16"]
    assert [*report["rows"]] == [*ours, *(f"resnet_small, {name}" for name in theirs)]
    assert [*report["ratios"]] == [f"{one} / {other}" for one in ours for other in theirs]
    rates = {name: row["images_per_second_by_round"] for name, row in report["rows"].items()}
    first = [
        a / b for a, b in zip(rates[ours[0]], rates[f"resnet_small, {theirs[0]}"], strict=True)
    ]
    assert report["ratios"][f"{ours[0]} / {theirs[0]}"] == pytest.approx(first)
    said = capsys.readouterr().out
    for name in report["ratios"]:
        assert f"{name}: " in said
    assert "--widths 48 96 192 --blocks 1 1 2 --space-to-depth --batch-size 4 --dropout 0.3" in said
    assert "--dtype bfloat16" in said


def test_without_pytorch_our_sides_train_alone(
    players: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["--model", "resnet_small", "--torch-python", str(tmp_path / "nothing"), *SHORT]
    assert train_throughput.main(line) == 0
    said = capsys.readouterr().out
    assert "left out: PyTorch" in said
    assert " / " not in said.partition("CPU ms/image")[2]


def test_keras_is_compared_with_its_own_network_only(players: str, tmp_path: Path) -> None:
    written = tmp_path / "report.json"
    line = ["--keras-python", players, "--devices", "1", "--json", str(written), *SHORT]
    assert train_throughput.main(line) == 0
    assert [*json.loads(written.read_text())["ratios"]] == [
        "seed_cnn, fer_jax, 1 device(s) / Keras on TensorFlow",
        "seed_cnn, fer_jax, 1 device(s) / Keras on TensorFlow, jit_compile",
    ]


def test_networks_of_two_sizes_are_not_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    differing = SIDE.replace("PARAMETERS", "len(told)")
    path = other_python(tmp_path, differing)
    monkeypatch.setattr(sys, "executable", path)
    with pytest.raises(FerError, match="not the same network: parameters of "):
        train_throughput.main(["--model", "resnet_small", "--torch-python", path, *SHORT])
