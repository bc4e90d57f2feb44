"""Faces that the training command cannot read or does not learn."""

import json
import re
import shutil
from pathlib import Path

import cv2
import pytest

from fer_jax import command, train
from fer_jax.expressions import EXPRESSIONS
from fer_jax.training import summary
from tests.factories import pattern_faces

ROOT = Path(__file__).resolve().parents[2]


def folder_of_faces(folder: Path, *, count: int = 28) -> Path:
    """A data folder with `count` training and validation faces each, as JPEG files."""
    for split, seed in (("train", 0), ("validation", 1)):
        faces = pattern_faces(count, seed=seed)
        for k, (image, label) in enumerate(zip(faces.images, faces.labels, strict=True)):
            place = folder / split / EXPRESSIONS[label]
            place.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(place / f"{k:03}.jpg"), image)
    return folder


def run(data: Path, workdir: Path, *more: str) -> int:
    short = ("--config.epochs=1", "--config.batch_size=16", "--config.devices=1")
    short += ("--config.resolution.start=48",)  # each size is compiled separately
    short += ("--config.model.name=tiny", "--config.optim.name=adamw")  # compile fastest
    return command.run(
        train.main,
        [
            *("--config", str(ROOT / "configs/base.py"), "--workdir", str(workdir)),
            *(f"--config.data.dir={data}", "--config.eval_batch_size=32", *short, *more),
        ],
    )


def test_what_is_left_out_or_held_out_is_reported_and_counted_in_the_card(tmp_path, capsys):
    data = folder_of_faces(tmp_path / "faces")
    spoilt = data / "train/fear/002.jpg"
    spoilt.write_bytes(spoilt.read_bytes()[:-200])

    assert run(data, tmp_path / "run") == 2
    said = capsys.readouterr()
    assert "train/fear/002.jpg" in said.err
    assert said.err.endswith("leave out such faces with --config.data.on_error=skip\n")
    assert len(said.err.splitlines()) == 1
    assert not (tmp_path / "run/config.json").exists()

    shutil.copytree(data / "train/fear", data / "train/contempt")
    shutil.rmtree(data / "validation")
    assert run(data, tmp_path / "run", "--config.data.on_error=skip") == 0
    said = capsys.readouterr().out
    assert "skipped: 1 unreadable" in said
    assert "left out: 4 images in 'contempt', which is not one of the seven expressions\n" in said
    assert said.count("a tenth of the training faces, held out by file name") == 1
    card = json.loads((tmp_path / "run/card.json").read_text())["dataset"]
    assert [name for name, _ in card["skipped"]] == ["train/fear/002.jpg"]
    assert sum(card["left_out"].values()) == 4
    assert card["validation"] == "a tenth of train, held out by file name"
    assert [sum(card["counts"][split].values()) for split in ("train", "validation")] == [20, 7]
    assert card["name"] == "folder"


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("0,1 2 3,Training", "3 pixels"),
        (f"9,{'7 ' * 2303}7,Training", "9"),
        (f"0,{'7 ' * 2303}999,Training", "999"),
        (f"0,{'7 ' * 2303}7", "2 columns"),
    ],
)
def test_a_bad_csv_row_is_named_by_its_line(tmp_path, capsys, row, expected):
    good = f"3,{'7 8 ' * 1152}".strip() + ",Training"
    (tmp_path / "fer2013.csv").write_text(f"emotion,pixels,Usage\n{good}\n{row}\n")
    assert run(tmp_path, tmp_path / "run") == 2
    said = capsys.readouterr().err
    assert "fer2013.csv:3: " in said
    assert expected in said
    assert len(said.splitlines()) == 1


def test_a_batch_larger_than_the_training_set_is_refused_before_anything_is_compiled(
    tmp_path, capsys
):
    data = folder_of_faces(tmp_path / "faces", count=8)
    assert run(data, tmp_path / "run", "--config.batch_size=5000") == 2
    said = capsys.readouterr().err
    assert re.fullmatch(r"error: config\.batch_size=5000: .* there are 8 to train on, .*\n", said)


def test_the_banner_of_synthetic_faces_is_a_rectangle():
    lines = summary.SYNTHETIC_BANNER.format(place="data/").splitlines()
    assert {len(line) for line in lines} == {94}
