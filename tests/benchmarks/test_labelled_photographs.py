"""The count of photographs with a correctly predicted label."""

from __future__ import annotations

import shutil
from pathlib import Path

import labelled_photographs
import matplotlib
import pytest

from fer_jax import Predictor
from fer_jax.errors import FerError
from tests.small_checkpoint import write_workdir

PHOTO = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return Predictor.load(write_workdir(tmp_path_factory.mktemp("run") / "small"))


def folder_of(place: Path, labels: dict[str, str]) -> Path:
    (place / "images").mkdir()
    lines = [f"{file},{label}" for file, label in labels.items()]
    (place / "labels.csv").write_text("\n".join(["file,label", *lines, ""]))
    return place


def test_photographs_are_counted_by_label_and_one_without_a_face_is_wrong(
    predictor: Predictor, tmp_path: Path
) -> None:
    (face,) = predictor.analyze(PHOTO)
    labels = {"right.jpg": face.expression, "wrong.jpg": "fear", "none.png": "happy"}
    assert face.expression not in ("fear", "happy")
    folder = folder_of(tmp_path, labels)
    for name in ("right.jpg", "wrong.jpg"):
        shutil.copyfile(PHOTO, folder / "images" / name)
    shutil.copyfile(PHOTO.with_name("Minduka_Present_Blue_Pack.png"), folder / "images/none.png")
    assert labelled_photographs.compared(predictor, folder) == {
        "photographs": 3,
        "without_face": 1,
        "expressions": {
            name: {"right": int(name == face.expression), "count": 1}
            for name in sorted(labels.values())
        },
    }


def test_an_unknown_label_is_refused(predictor: Predictor, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"a.jpg": "joy"})
    with pytest.raises(FerError, match=r"labels\.csv: 'joy' is none of angry, "):
        labelled_photographs.compared(predictor, folder)
