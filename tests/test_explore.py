"""The explore command on tiny real folders: what it prints, writes and refuses."""

from __future__ import annotations

import contextlib
import io
import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifier

from fer_jax import explore
from fer_jax.data.faces import Faces
from fer_jax.data.synthetic import load_synthetic
from fer_jax.exploration.statistics import linear_accuracy
from fer_jax.expressions import EXPRESSIONS
from tests.chromium import opened_file
from tests.data import face_files as make
from tests.factories import pattern_faces

IMAGES = {
    "counts.png",
    "brightness.png",
    "contrast.png",
    "samples.png",
    "mean_faces.png",
    "audit.png",
}


def pattern(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (48, 48), dtype=np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 1)


def save(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


def flawed_folder(data: Path) -> Path:
    """Three faces of every expression, two to train on; a blank, a leak and a contradiction."""
    for label, name in enumerate(EXPRESSIONS):
        for n in range(2):
            save(data / "train" / name / f"{n}.png", pattern(10 * label + n))
        save(data / "validation" / name / "0.png", pattern(10 * label + 5))
    save(data / "train/happy/<blank>.png", np.zeros((48, 48), np.uint8))
    save(data / "train/sad/leak.png", pattern(5))
    save(data / "train/fear/contradiction.png", pattern(0))
    return data


@pytest.fixture(scope="module")
def explored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The command's files and output for a flawed folder."""
    home = tmp_path_factory.mktemp("explored")
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        status = explore.main(
            ["--data", str(flawed_folder(home / "in")), "--out", str(home / "out")]
        )
    assert status == 0
    return home / "out", printed.getvalue()


def test_the_terminal_shows_counts_audit_and_baseline(explored: tuple[Path, str]) -> None:
    _, printed = explored
    assert re.search(r"^ +train +validation$", printed, re.M)
    assert re.search(r"^ +happy +3 +1$", printed, re.M)
    assert re.search(r"^ +all +17 +7$", printed, re.M)
    assert "exclude_audited leaves out 4 of 17 train faces" in printed
    assert "linear baseline (ridge on pixels)" in printed


def test_the_json_holds_counts_and_audit(explored: tuple[Path, str]) -> None:
    out, _ = explored
    found = json.loads((out / "explore.json").read_text())
    assert found["counts"]["train"] == dict(zip(EXPRESSIONS, (2, 2, 3, 3, 2, 3, 2), strict=True))
    assert found["counts"]["validation"] == dict.fromkeys(EXPRESSIONS, 1)
    audit = found["audit"]
    assert [flaw["name"] for flaw in audit["constant"]] == ["train/happy/<blank>.png"]
    assert [[member["name"] for member in group] for group in audit["cross_split"]] == [
        ["train/sad/leak.png", "validation/angry/0.png"]
    ]
    assert [[member["label"] for member in group] for group in audit["label_conflicts"]] == [
        ["angry", "fear"],
        ["sad", "angry"],
    ]
    assert len(audit["duplicates"]) == 2


def test_images_are_stored_next_to_the_page(explored: tuple[Path, str]) -> None:
    out, _ = explored
    assert {path.name for path in out.iterdir()} == {"explore.html", "explore.json"} | IMAGES
    for name in IMAGES:
        drawn = cv2.imread(str(out / name))
        assert drawn is not None
        assert drawn.std() > 5, f"{name} is empty"


def test_the_page_is_one_file_and_escapes_names(explored: tuple[Path, str]) -> None:
    page = (explored[0] / "explore.html").read_text()
    sources = re.findall(r"(?:src|srcset|href)='([^']*)'", page)
    assert len(sources) > 24
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert "<script" not in page
    assert "url(" not in page
    assert "train/happy/&lt;blank&gt;.png" in page
    assert "<blank>" not in page
    assert "width=device-width" in page
    assert "prefers-color-scheme:dark" in page


def test_a_browser_shows_the_page_as_a_file_under_its_policy(explored: tuple[Path, str]) -> None:
    with opened_file(explored[0] / "explore.html") as (page, complaints):
        sizes = page.eval_on_selector_all("img", "images => images.map(i => i.naturalWidth)")
        assert len(sizes) > 24
        assert min(sizes) > 0
        assert page.locator(".faces").first.evaluate("e => getComputedStyle(e).display") == "flex"
        assert complaints == []


def test_without_data_the_synthetic_faces_are_explored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = {"train": 28, "validation": 14, "test": 7}
    monkeypatch.setattr(
        "fer_jax.data.synthetic.load_synthetic", lambda: load_synthetic(counts=counts)
    )
    assert explore.main(["--out", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "explore.json").read_text())
    assert {split: sum(by_class.values()) for split, by_class in found["counts"].items()} == counts
    assert found["audit"]["duplicates"] == []


def test_one_split_with_few_expressions_is_enough(tmp_path: Path) -> None:
    save(tmp_path / "faces/test/happy/only.png", pattern(1))
    assert explore.main(["--data", str(tmp_path / "faces"), "--out", str(tmp_path / "out")]) == 0
    found = json.loads((tmp_path / "out/explore.json").read_text())
    assert found["counts"] == {"test": dict.fromkeys(EXPRESSIONS, 0) | {"happy": 1}}
    assert found["linear_baseline"]["validation_accuracy"] is None
    assert found["left_out"] == {"test": 0}


def test_faces_without_splits_are_explored_with_the_split_that_training_holds_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    classes = flawed_folder(tmp_path / "in") / "train"
    assert explore.main(["--data", str(classes), "--out", str(tmp_path / "out")]) == 0
    assert "held out" in capsys.readouterr().out
    found = json.loads((tmp_path / "out/explore.json").read_text())
    assert set(found["counts"]) == {"train", "validation"}
    assert sum(found["counts"]["validation"].values()) == len(EXPRESSIONS)


def test_an_unreadable_face_ends_the_command_in_one_line_or_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = flawed_folder(tmp_path / "in")
    (folder / "train/angry/torn.png").write_bytes((folder / "train/angry/0.png").read_bytes()[:200])
    out = tmp_path / "out"
    assert explore.main(["--data", str(folder), "--out", str(out)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert re.fullmatch(
        r"error: .*torn\.png.* leave out such faces with --on-error skip\n", printed.err
    )
    assert not any(out.iterdir())

    arguments = ["--data", str(folder), "--out", str(out), "--on-error", "skip"]
    assert explore.main(arguments) == 0
    assert "(1 unreadable, left out)" in capsys.readouterr().out


def test_an_unwritable_place_is_reported_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = flawed_folder(tmp_path / "in")
    taken = tmp_path / "taken"
    taken.write_text("a file")
    assert explore.main(["--data", str(folder), "--out", str(taken)]) == 2
    assert re.fullmatch(
        r"error: --out .*taken: cannot be made \(.*\); name another folder\n",
        capsys.readouterr().err,
    )


@pytest.mark.parametrize("count", [140, 2310], ids=["fewer faces than pixels", "more"])
def test_the_linear_baseline_is_ridge_regression(count: int) -> None:
    rng = np.random.default_rng(0)
    faces = pattern_faces(count + 700)
    mislabelled = rng.random(len(faces)) < 0.4  # a linear model cannot be right about these
    labels = np.where(mislabelled, rng.integers(0, 7, len(faces)), faces.labels).astype(np.int32)
    train = Faces(faces.images[700:], labels[700:], faces.names[700:])
    validation = Faces(faces.images[:700], labels[:700], faces.names[:700])
    inputs = _standardised(train)
    ridge = np.square(inputs - inputs.mean(axis=0)).sum() / inputs.shape[1]
    expected = RidgeClassifier(alpha=ridge).fit(inputs, train.labels)
    accuracy = linear_accuracy(train, validation)
    assert accuracy == pytest.approx(
        expected.score(_standardised(validation), validation.labels), abs=2 / 700
    )
    assert (
        0.2 < accuracy < 0.9
    )  # neither chance nor certainty, on which any two methods would agree


def _standardised(faces: Faces) -> np.ndarray:
    pixels = faces.images.reshape(len(faces), -1).astype(np.float32)
    pixels -= pixels.mean(axis=1, keepdims=True)
    return pixels / pixels.std(axis=1, keepdims=True)


def test_a_processed_copy_is_named_shown_and_recorded(tmp_path, capsys):
    faces = load_synthetic(seed=0, counts={"train": 70}).splits["train"]
    for n, (image, label) in enumerate(zip(faces.images, faces.labels, strict=True)):
        save(tmp_path / "train" / EXPRESSIONS[label] / f"{n}.png", cv2.equalizeHist(image))
    out = tmp_path / "out"
    assert explore.main(["--data", str(tmp_path / "train"), "--out", str(out)]) == 0
    assert "processing: equalised: " in capsys.readouterr().out
    found = json.loads((out / "explore.json").read_text())["processing"]
    assert {"equalised", "stretched"} == set(found["verdicts"])
    assert found["statistics"]["equalised"] > 0.5
    assert cv2.imread(str(out / "processing.png")) is not None
    page = (out / "explore.html").read_text()
    section = page[page.index("<h2>Processing") : page.index("<h2>Audit")]
    assert "were processed before they came here" in section
    assert section.count("<img") == 24


def test_labels_are_compared_with_votes_where_there_are_votes(tmp_path, capsys):
    happy, sad = EXPRESSIONS.index("happy"), EXPRESSIONS.index("sad")
    rows = [make.csv_row(n, label, "Training") for n, label in enumerate((happy, happy, sad, sad))]
    rows.append(make.csv_row(4, happy, "PublicTest"))
    votes = [
        ("Training", {"happiness": 9, "neutral": 1}),
        ("Training", {"sadness": 8, "neutral": 2}),
        ("Training", {"sadness": 10}),
        ("Training", {"sadness": 5, "neutral": 5}),
        ("PublicTest", {"happiness": 10}),
    ]
    make.write_files(
        tmp_path,
        {"fer2013.csv": make.csv_bytes(rows), "fer2013new.csv": make.votes_bytes(votes)},
    )
    out = tmp_path / "out"
    assert explore.main(["--data", str(tmp_path), "--out", str(out)]) == 0
    assert "the crowd confirms 66.7%; 25.0% have a label that none" in capsys.readouterr().out
    told = json.loads((out / "explore.json").read_text())["label_votes"]
    assert told["by_label"]["happy"] == {
        "count": 2,
        "agreement": 0.5,
        "most_often_seen_as": "sad",
    }
    assert told["by_label"]["sad"]["agreement"] == 1.0
    assert cv2.imread(str(out / "label_votes.png")) is not None
    page = (out / "explore.html").read_text()
    section = page[page.index("<h2>Labels against votes") : page.index("<h2>Audit")]
    assert section.count("<img") == 1
    assert "fer2013.csv:3: sad" in section


def test_without_votes_there_is_no_such_section(explored):
    folder, printed = explored
    assert "Labels against votes" not in (folder / "explore.html").read_text()
    assert "labels against votes" not in printed
