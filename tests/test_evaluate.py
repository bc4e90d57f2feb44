"""Figures of several trainings, and the record of opened test splits."""

import json
import shutil

import cv2
import numpy as np
import pytest

from fer_jax import command, evaluate
from fer_jax.data.degradations import DEGRADATIONS
from fer_jax.data.processing import processing
from fer_jax.data.synthetic import load_synthetic
from fer_jax.evaluation.degraded import degraded_faces
from fer_jax.evaluation.openings import OPENINGS, read_openings
from fer_jax.evaluation.reports import across_runs
from fer_jax.exporting.model_card import model_card
from fer_jax.exporting.release import release
from fer_jax.expressions import EXPRESSIONS
from fer_jax.saved_model import load_model
from fer_jax.training.workdir import clear
from tests.data import face_files as make
from tests.factories import pattern_faces
from tests.small_checkpoint import write_workdir

pytestmark = pytest.mark.usefixtures("tiny_network")


def tiny_run(folder, **changes):
    return write_workdir(folder, model__name="tiny", **changes)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two faces of noise for each expression in a test and a validation split."""
    root, rng = tmp_path_factory.mktemp("faces"), np.random.default_rng(0)
    for split in ("validation", "test"):
        for expression in EXPRESSIONS:
            folder = root / split / expression
            folder.mkdir(parents=True)
            for k in range(2):
                face = rng.integers(0, 256, (48, 48), np.uint8)
                cv2.imwrite(str(folder / f"{k}.png"), face)
    return root


def run(checkpoint, data, *rest):
    return command.run(
        evaluate.main, ["--checkpoint", str(checkpoint), "--data", str(data), *map(str, rest)]
    )


def test_each_opening_of_the_test_split_is_recorded_and_reported(data, tmp_path, capsys):
    workdir = tiny_run(tmp_path / "run")
    assert run(workdir, data) == 0
    assert not (workdir / OPENINGS).exists()
    assert "it had never been opened" in model_card_of(workdir, tmp_path / "before")
    for words in ("opened never before", "opened once before", "opened 2 times before"):
        capsys.readouterr()
        assert run(workdir, data, "--split", "test", "--out", tmp_path / "out") == 0
        assert words in " ".join(capsys.readouterr().out.split())
    saved = load_model(workdir)
    openings = read_openings(saved)
    assert [opening["digest"] for opening in openings] == [saved.digest] * 3
    assert openings[0]["faces"] == 14
    assert json.loads((tmp_path / "out/report.json").read_text())["test_opened_before"] == 2
    assert "opened 3 times, first at 2" in model_card_of(workdir, tmp_path / "after")


def test_a_release_states_how_often_its_run_had_opened_the_test_split(data, tmp_path, capsys):
    workdir, out = tiny_run(tmp_path / "run"), tmp_path / "checkpoints/mine"
    assert run(workdir / "checkpoints/7", data, "--split", "test") == 0
    assert "opened once, at 2" in model_card_of(workdir, out)
    assert run(out, data, "--split", "test") == 0
    assert "opened once before" in " ".join(capsys.readouterr().out.split())
    assert (out / OPENINGS).exists()
    model_card_of(workdir, out)
    assert len(read_openings(load_model(out))) == 2  # the release of the same weights keeps them
    clear(workdir)
    assert not (workdir / OPENINGS).exists()


def model_card_of(workdir, out):
    folder = release(workdir, out=out)
    card = json.loads((folder / "card.json").read_text())
    return " ".join(model_card(card).split())


def test_a_test_split_is_not_opened_if_that_cannot_be_recorded(data, tmp_path, capsys):
    workdir = tiny_run(tmp_path / "run")
    (workdir / OPENINGS).mkdir()
    assert run(workdir, data, "--split", "test") == 2
    said = capsys.readouterr()
    assert OPENINGS in said.err
    assert "single crop" not in said.out
    (workdir / OPENINGS).rmdir()
    (workdir / OPENINGS).write_text("{half a li")
    assert run(workdir, data, "--split", "test") == 2
    assert "take another copy of the run" in capsys.readouterr().err


def test_several_trainings_are_reported_with_their_mean_and_its_interval(data, tmp_path, capsys):
    runs = [tiny_run(tmp_path / f"seed{seed}", seed=seed) for seed in range(3)]
    names = ", ".join(map(str, runs))
    assert run(names, data, "--split", "test", "--out", tmp_path / "out") == 0
    assert all((path / OPENINGS).exists() for path in runs)
    said = capsys.readouterr().out
    assert all(load_model(path).digest[:12] in said for path in runs)
    assert "3 trainings" in said
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert report["accuracy"]["mean"] == pytest.approx(
        np.mean([each["accuracy"] for each in report["each"]])
    )
    assert np.sum(report["confusion"]) == 3 * 14


def test_a_network_named_twice_is_refused(data, tmp_path, capsys):
    workdir = tiny_run(tmp_path / "run")
    assert run(f"{workdir},{workdir}", data) == 2
    assert "names a network twice" in capsys.readouterr().err


def test_the_interval_of_a_mean_is_student_s():
    def report(accuracy):
        figures = dict.fromkeys(("uar", "macro_f1", "loss", "ece"), 0.5)
        return {"accuracy": accuracy, **figures, "flip": {"accuracy": accuracy, **figures}}

    told = across_runs([report(0.64), report(0.66), report(0.68)])
    assert told["accuracy"]["mean"] == pytest.approx(0.66)
    # t(0.975, 2) = 4.303, standard deviation 0.02
    assert told["accuracy"]["interval"] == pytest.approx([0.6103, 0.7097], abs=1e-4)
    assert told["flip"]["uar"]["interval"] == pytest.approx([0.5, 0.5])


@pytest.fixture(scope="module")
def voted(tmp_path_factory):
    """Four validation faces: two with a majority, one with a tie, and one in which nobody sees a
    face."""
    folder = tmp_path_factory.mktemp("voted")
    rows = [make.csv_row(label, label, "PublicTest") for label in range(4)]
    votes = [
        ("PublicTest", {"happiness": 9, "neutral": 1}),
        ("PublicTest", {"sadness": 5, "neutral": 5}),
        ("PublicTest", {"anger": 6, "contempt": 3, "fear": 1}),
        ("PublicTest", {"NF": 10}),
    ]
    files = {"fer2013.csv": make.csv_bytes(rows), "fer2013new.csv": make.votes_bytes(votes)}
    return make.write_files(folder, files)


def test_a_network_is_compared_with_the_labels_it_learned_or_with_requested_ones(
    voted, tmp_path, capsys
):
    own = tiny_run(tmp_path / "own")
    crowd = tiny_run(tmp_path / "crowd", data__labels="votes")
    for workdir, options, count in (
        (own, (), 4),
        (crowd, (), 2),
        (own, ("--labels", "votes"), 2),
        (crowd, ("--labels", "own"), 4),
    ):
        assert run(workdir, voted, "--out", tmp_path / "out", *options) == 0
        report = json.loads((tmp_path / "out/report.json").read_text())
        assert report["count"] == count
        assert ("majority of FER+'s votes" in capsys.readouterr().out) == (count == 2)
    assert [row["support"] for row in report["per_class"].values() if row["support"]] == [1] * 4


def test_both_kinds_of_label_are_reported_where_there_are_votes(voted, data, tmp_path, capsys):
    crowd = tiny_run(tmp_path / "crowd", data__labels="votes")
    assert run(crowd, voted, "--out", tmp_path / "out") == 0
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert {by: told["count"] for by, told in report["by_labels"].items()} == {"votes": 2, "own": 4}
    assert report["labels"] == "votes"
    assert report["accuracy_interval"] == report["by_labels"]["votes"]["accuracy_interval"]
    assert {"accuracy_interval", "calibrated_ece"} <= report["by_labels"]["own"]["flip"].keys()
    said = capsys.readouterr().out
    assert all(words in said for words in ("crowd, flip-averaged", "own labels, single crop"))
    assert run(crowd, data, "--labels", "own", "--out", tmp_path / "out") == 0
    assert "both kinds" not in capsys.readouterr().out


def test_the_degraded_split_has_a_figure_for_each_kind_and_their_mean(data, tmp_path, capsys):
    workdir = tiny_run(tmp_path / "run")
    told = []
    for _ in range(2):
        assert run(workdir, data, "--degraded", "--out", tmp_path / "out") == 0
        told.append(json.loads((tmp_path / "out/report.json").read_text())["degraded"])
    assert told[0] == told[1]
    assert set(told[0]["kinds"]) == set(DEGRADATIONS)
    each = [figures["accuracy"] for figures in told[0]["kinds"].values()]
    assert told[0]["mean"]["accuracy"] == pytest.approx(np.mean(each))
    said = capsys.readouterr().out
    assert all(kind in said for kind in ("plain", *DEGRADATIONS, "mean"))


def test_degraded_faces_depend_only_on_the_face_and_its_place():
    faces = pattern_faces(4)
    whole = degraded_faces(faces, "noisy").images
    np.testing.assert_array_equal(
        degraded_faces(faces.take(np.arange(2)), "noisy").images, whole[:2]
    )
    noise = whole.astype(int) - faces.images
    assert not np.array_equal(noise[0], noise[1])


def test_faces_processed_differently_from_the_training_faces_give_a_warning(tmp_path, capsys):
    images = load_synthetic(seed=0, counts={"validation": 70}).splits["validation"]
    for n, (image, label) in enumerate(zip(images.images, images.labels, strict=True)):
        folder = tmp_path / "faces" / "validation" / EXPRESSIONS[label]
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f"{n}.png"), 255 - image)
    workdir = tiny_run(tmp_path / "run")
    card = json.loads((workdir / "card.json").read_text())
    card["dataset"]["processing"] = processing(images.images)
    (workdir / "card.json").write_text(json.dumps(card))
    assert run(workdir, tmp_path / "faces") == 0
    assert "these faces are inverted, so its figures here" in capsys.readouterr().err
    card["dataset"]["processing"] = processing(255 - images.images)
    (workdir / "card.json").write_text(json.dumps(card))
    assert run(workdir, tmp_path / "faces") == 0
    assert "warning" not in capsys.readouterr().err


def test_missing_votes_are_requested(data, tmp_path, capsys):
    assert run(tiny_run(tmp_path / "run"), data, "--labels", "votes") == 2
    assert "has no FER+ votes; put fer2013new.csv next to" in capsys.readouterr().err


def test_an_unreadable_face_ends_in_one_line_that_advises_a_flag(data, tmp_path, capsys):
    faces = shutil.copytree(data, tmp_path / "faces")
    (faces / "validation/fear/0.png").write_text("no image")
    workdir = tiny_run(tmp_path / "run")
    assert run(workdir, faces) == 2
    assert capsys.readouterr().err.endswith("leave out such faces with --on-error skip\n")
