"""What shares of the log frequencies do to a network's answers."""

from __future__ import annotations

import json
from pathlib import Path

import logit_adjustment

from fer_jax.config import DataConfig
from fer_jax.data.datasets import open_dataset
from fer_jax.evaluation.evaluation import saved_logits
from fer_jax.saved_model import load_model
from fer_jax.training.finishing import frequency_shift
from tests.data.face_files import fer2013_with_votes
from tests.small_checkpoint import write_workdir


def test_each_share_is_measured_for_all_and_for_rare_expressions(tmp_path: Path) -> None:
    run = write_workdir(tmp_path / "run")
    data = fer2013_with_votes(tmp_path / "data")
    kept = tmp_path / "kept.json"
    options = ["--checkpoint", str(run), "--data", str(data), "--json", str(kept)]
    assert logit_adjustment.main(options) == 0
    report = json.loads(kept.read_text())
    saved = load_model(run)
    splits = open_dataset(DataConfig(dir=str(data), labels="votes"), seed=0).splits
    logits, _ = saved_logits(saved, splits["validation"])
    assert report["digest"] == saved.digest
    assert (len(splits["train"]), len(splits["validation"])) == (20, 10)
    assert {row["below"] for row in report["rows"]} == {1, 0.3, 0.1429}
    for row in report["rows"]:
        below = 1 / 7 if row["below"] == 0.1429 else row["below"]
        shift = frequency_shift(splits["train"].labels, share=row["share"], below=below)
        right = (logits + shift).argmax(axis=1) == splits["validation"].labels
        assert row["accuracy"] == right.mean()
