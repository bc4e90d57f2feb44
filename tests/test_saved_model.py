"""Checkpoints read from disk, either complete or refused."""

import json
import shutil
from pathlib import Path

import pytest

from fer_jax import Predictor
from fer_jax.errors import CheckpointError
from fer_jax.saved_model import load_model
from tests.small_checkpoint import STEP, write_workdir


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return write_workdir(tmp_path_factory.mktemp("run") / "small")


@pytest.fixture
def copied(workdir, tmp_path):
    return Path(shutil.copytree(workdir, tmp_path / "copy"))


def refusal(path) -> str:
    with pytest.raises(CheckpointError) as refused:
        Predictor.load(path)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_a_workdir_its_checkpoints_and_one_of_them_name_the_same_network(workdir):
    found = [load_model(workdir / place) for place in ("", "checkpoints", f"checkpoints/{STEP}")]
    assert len({saved.digest for saved in found}) == 1
    assert all(saved.step == STEP and saved.card["temperature"] == 1.7 for saved in found)


def test_a_missing_checkpoint_is_named(tmp_path):
    assert f"{tmp_path}/none: holds no checkpoint" in refusal(tmp_path / "none")


def test_weights_that_do_not_match_the_card_are_refused(copied):
    card = json.loads((copied / "card.json").read_text())
    (copied / "card.json").write_text(json.dumps({**card, "digest": "0" * 64}))
    assert "do not match card.json" in refusal(copied)
    (copied / "card.json").write_text("{")
    assert "card.json: cannot be read" in refusal(copied)
    (copied / "card.json").write_text(json.dumps({**card, "temperature": 0}))
    assert "positive numbers, got 0" in refusal(copied)


def test_a_damaged_checkpoint_is_refused_whichever_file_is_cut(copied):
    model = copied / "checkpoints" / str(STEP) / "model"
    files = (path for path in model.rglob("*") if path.is_file())
    largest = max(files, key=lambda path: path.stat().st_size)
    for path in (largest, model / "_METADATA", model / "manifest.ocdbt"):
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        assert "cannot be read as a checkpoint" in refusal(copied)
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
    assert "does not name its network" in refusal(copied / "checkpoints" / str(STEP))
