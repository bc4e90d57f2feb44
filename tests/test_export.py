import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from fer_jax import Predictor, command, export
from fer_jax.errors import CheckpointError
from fer_jax.evaluation import reports
from fer_jax.exporting.release import MAX_RELEASE_BYTES, release
from fer_jax.pretrained import PRETRAINED, shipped_names
from fer_jax.saved_model import load_model
from tests.factories import pattern_faces
from tests.small_checkpoint import STEP, write_workdir


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return write_workdir(
        tmp_path_factory.mktemp("run") / "small",
        data__dir="/somewhere/faces",
        loss__teacher="/somewhere/one,/somewhere/two",
    )


@pytest.fixture
def copied(workdir, tmp_path):
    return Path(shutil.copytree(workdir, tmp_path / "copy"))


@pytest.fixture(scope="module")
def released(workdir, tmp_path_factory):
    out = tmp_path_factory.mktemp("package") / "pretrained"
    line = ["release", "--workdir", str(workdir), "--out", str(out)]
    assert command.run(export.main, line) == 0
    return out


def test_a_release_is_the_same_network_with_its_card(workdir, released):
    faces = pattern_faces(2).images
    shipped, trained = (Predictor.load(path, max_batch=2) for path in (released, workdir))
    np.testing.assert_allclose(shipped.logits(faces), trained.logits(faces), atol=1e-5)
    assert shipped.saved.digest == trained.saved.digest
    assert (shipped.temperature, shipped.uncertain_below) == (1.7, 0.3)
    card = shipped.saved.card
    assert (shipped.saved.step, card["digest"]) == (STEP, trained.saved.digest)
    assert card["report"] == json.loads((workdir / "report.json").read_text())


def test_a_release_states_its_figures_in_words(released):
    card = json.loads((released / "card.json").read_text())
    text = (released / "MODEL_CARD.md").read_text()
    low, high = card["report"]["accuracy_interval"]
    for expected in (
        card["digest"],
        f"| accuracy | {card['report']['accuracy']:.1%} | {card['report']['flip']['accuracy']:.1%} |",
        f"{low:.1%} to {high:.1%}",
        f"| disgust | {card['report']['per_class']['disgust']['recall']:.1%} |",
        f"a confidence of {card['uncertain_below']:.2f} or more",
        "cannot tell what a person feels",
    ):
        assert expected in text


def test_a_release_is_small_and_names_no_folder_of_its_maker(workdir, released):
    files = [path for path in released.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 6_500_000  # 1,356,007 float32 parameters
    assert not (released / "state").exists()
    for folder in (str(workdir.parent), str(released.parent), "/somewhere"):
        assert not [path for path in files if folder.encode() in path.read_bytes()]
    card = json.loads((released / "card.json").read_text())
    assert card["command"] == "python -m fer_jax.train --config configs/base.py --workdir small"
    assert card["config"]["data"]["dir"] == "faces"
    assert card["config"]["loss"]["teacher"] == "one,two"
    assert list(released.parent.iterdir()) == [released]


def test_a_release_without_its_card_or_with_other_weights_is_refused(released, tmp_path):
    copy = Path(shutil.copytree(released, tmp_path / "copy"))
    largest = max((copy / "model").rglob("*"), key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 0xFF
    largest.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"do not match card\.json|cannot be read"):
        load_model(copy)
    shutil.rmtree(copy)
    copy = Path(shutil.copytree(released, tmp_path / "copy"))
    (copy / "card.json").unlink()
    with pytest.raises(CheckpointError, match=r"card\.json: is missing"):
        load_model(copy)


def test_a_newer_release_replaces_the_older(copied, tmp_path):
    out = tmp_path / "package" / "pretrained"
    release(copied, out=out)
    (out / "stale").touch()
    release(copied, out=out)
    assert sorted(path.name for path in out.iterdir() if path.is_dir()) == ["about", "model"]
    assert not (out / "stale").exists()
    assert list(out.parent.iterdir()) == [out]


def test_only_a_release_is_ever_replaced(copied):
    before = sorted(copied.rglob("*"))
    with pytest.raises(CheckpointError, match=f"{copied}: is not a release"):
        release(copied, out=copied)
    assert sorted(copied.rglob("*")) == before


def refusal(workdir, out, capsys) -> str:
    line = ["release", "--workdir", str(workdir), "--out", str(out / "pretrained")]
    assert command.run(export.main, line) == 2
    assert list(out.iterdir()) == []
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    return said.err


def test_runs_that_may_not_ship_are_refused_in_one_line(copied, tmp_path, capsys):
    out = tmp_path / "package"
    out.mkdir()
    card = json.loads((copied / "card.json").read_text())
    for change, reason in (
        ({"dataset": {"name": "synthetic"}}, "was trained on synthetic faces"),
        ({"step": STEP + 1}, "has no card of its best checkpoint; run the training command again"),
        ({"temperature": None}, "positive numbers, got None"),
    ):
        (copied / "card.json").write_text(json.dumps({**card, **change}))
        assert reason in refusal(copied, out, capsys)
    del card["uncertain_below"]
    (copied / "card.json").write_text(json.dumps(card))
    assert "card.json: lacks uncertain_below; run the training command again" in refusal(
        copied, out, capsys
    )
    (copied / "card.json").unlink()
    assert "has no card of its best checkpoint" in refusal(copied, out, capsys)


def test_a_network_too_large_to_ship_is_refused(workdir, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("fer_jax.exporting.release.MAX_RELEASE_BYTES", 1_000_000)
    assert "its network takes 5.1 MB, more than the 1 MB" in refusal(workdir, tmp_path, capsys)


def test_four_faces_in_five_reach_the_confidence_threshold():
    probabilities = np.random.default_rng(0).dirichlet(np.full(7, 0.3), size=1000)
    threshold = reports.confidence_threshold(probabilities)
    assert np.mean(probabilities.max(axis=1) >= threshold) == pytest.approx(0.8, abs=1e-3)
    half = reports.confidence_threshold(probabilities, share=0.5)
    assert half == pytest.approx(np.median(probabilities.max(axis=1)))


@pytest.mark.parametrize("name", shipped_names())
def test_shipped_models_were_trained_on_real_faces_and_are_small(name):
    saved = load_model(name)
    assert saved.card is not None
    assert saved.card["dataset"]["name"] != "synthetic"
    files = (path for path in (PRETRAINED / name).rglob("*") if path.is_file())
    assert sum(path.stat().st_size for path in files) < MAX_RELEASE_BYTES


def test_a_release_by_name_is_loaded_by_that_name(workdir, tmp_path, monkeypatch, capsys):
    for module in ("fer_jax.pretrained", "fer_jax.export"):
        monkeypatch.setattr(f"{module}.PRETRAINED", tmp_path)
    line = ["release", "--workdir", str(workdir), "--name"]
    assert command.run(export.main, [*line, "crowd"]) == 0
    assert command.run(export.main, [*line, "another"]) == 2
    assert "choose from" in capsys.readouterr().err
    trained = load_model(workdir)
    assert load_model().path == load_model("crowd").path == tmp_path / "crowd"
    assert load_model("crowd").digest == trained.digest
    with pytest.raises(CheckpointError, match=r"fer2013: this installation .* it has crowd; name"):
        load_model("fer2013")
    with pytest.raises(CheckpointError, match="shipped network: crowd"):
        load_model("crwd")


def test_a_folder_that_has_a_shipped_name_is_read_by_its_path(workdir, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(workdir, "crowd")
    assert load_model("./crowd").digest == load_model(Path("crowd")).digest
    assert tmp_path in load_model("./crowd").path.parents
