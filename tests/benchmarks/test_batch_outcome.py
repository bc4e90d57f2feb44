"""A large batch learns as much in as many epochs."""

from __future__ import annotations

import json
from pathlib import Path

import batch_outcome
import pytest

from tests.shared_files import shared_file


@pytest.mark.long
@pytest.mark.timeout(5400)
def test_a_batch_of_1024_on_eight_devices_learns_as_well_as_one_of_128(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XLA_FLAGS")  # train as fast as users do
    data, kept = shared_file("data/fer2013.tar.xz"), tmp_path / "kept.json"
    assert batch_outcome.main(["--data", str(data), "--json", str(kept)]) == 0
    report = json.loads(kept.read_text())
    assert [(run["batch"], run["devices"]) for run in report["runs"]] == [(128, 1), (1024, 8)]
    assert min(run["flip_accuracy"] for run in report["runs"]) > 0.8
    assert report["apart"] > -0.007
