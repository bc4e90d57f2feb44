"""Where the time of scoring goes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest
import score_profile

from fer_jax.errors import FerError
from fer_jax.saved_model import load_model

PHOTO = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"


def test_every_stage_and_the_whole_take_processor_time(checkpoint: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("a.jpg", "b.jpg"):
        shutil.copy(PHOTO, photos / name)
    (photos / "damaged.jpg").write_bytes(PHOTO.read_bytes()[:1000])
    kept = tmp_path / "kept.json"
    options = ["--dir", str(photos), "--checkpoint", str(checkpoint), "--rounds", "2"]
    assert score_profile.main([*options, "--json", str(kept)]) == 0
    report = json.loads(kept.read_text())
    assert (report["photographs"], report["faces"]) == (2, 2)
    assert report["digest"] == load_model(checkpoint).digest
    assert {len(each) for each in report["cpu_ms"].values()} == {2}
    least = {name: min(each) for name, each in report["cpu_ms"].items()}
    assert least["whole"] > least["detection"] > 0


def test_photographs_without_a_face_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((64, 64, 3), 128, np.uint8))
    with pytest.raises(FerError, match="no face in its photographs"):
        score_profile.main(["--dir", str(tmp_path), "--checkpoint", str(checkpoint)])
