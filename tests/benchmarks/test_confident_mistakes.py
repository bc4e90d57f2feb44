"""How mistakes are counted beside people's votes."""

from __future__ import annotations

import json
from pathlib import Path

import confident_mistakes
import cv2
import numpy as np

from fer_jax.config import DataConfig
from fer_jax.data.datasets import open_dataset
from fer_jax.evaluation.evaluation import saved_logits
from fer_jax.saved_model import load_model
from tests.data.face_files import fer2013_with_votes
from tests.small_checkpoint import write_workdir


def test_mistakes_are_counted_and_drawn(tmp_path: Path) -> None:
    run = write_workdir(tmp_path / "run")
    data = fer2013_with_votes(tmp_path / "data")
    kept, sheet = tmp_path / "kept.json", tmp_path / "sheet.png"
    options = ["--checkpoint", str(run), "--data", str(data), "--most", "2"]
    assert confident_mistakes.main([*options, "--json", str(kept), "--out", str(sheet)]) == 0
    faces = open_dataset(DataConfig(dir=str(data), labels="votes"), seed=0).splits["validation"]
    logits, _ = saved_logits(load_model(run), faces)
    wrong = int((logits.argmax(axis=1) != faces.labels).sum())
    assert wrong > 2
    report = json.loads(kept.read_text())
    # All people agree in these faces, so that every mistake is the network's alone.
    for name, count in (("all", wrong), ("most_confident", 2)):
        found = report[name]
        numbers = [value for value in found.values() if isinstance(value, int)]
        assert numbers == [count, count, 0, count]
        assert sum(found["pairs"].values()) <= count
    drawn = cv2.imread(str(sheet), cv2.IMREAD_GRAYSCALE)
    assert drawn is not None
    assert np.ptp(drawn) == 255
