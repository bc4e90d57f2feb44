"""The command that records images of the live view: it runs, and its animation loops."""

from __future__ import annotations

import importlib.util
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.chromium import CHROMIUM
from tests.small_checkpoint import write_workdir

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "record_viewer.py"


@pytest.fixture(scope="module")
def recorder() -> Any:
    pytest.importorskip("playwright.sync_api", reason="needs Playwright")
    spec = importlib.util.spec_from_file_location("record_viewer", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shot(recorder: Any, time_s: float) -> Any:
    """A shot that gets brighter over time."""
    data = io.BytesIO()
    Image.new("RGB", (8, 8), (round(100 * time_s),) * 3).save(data, "jpeg")
    return recorder.Shot(time_s, data.getvalue())


def test_images_that_were_painted_at_any_time_become_evenly_timed(recorder: Any) -> None:
    shots = [shot(recorder, time_s) for time_s in (0.0, 0.05, 0.31, 0.5)]
    images = recorder.evenly(shots, fps=10)
    assert [image.getpixel((0, 0))[0] for image in images] == [0, 5, 5, 5, 31, 50]


def test_the_part_without_a_long_pause_is_taken(recorder: Any) -> None:
    times = (0.0, 0.4, 0.8, 1.0, 1.1, 1.2, 1.3, 1.4, 1.8, 2.2)
    part = recorder.smoothest([shot(recorder, time_s) for time_s in times], 0.4)
    assert [each.time_s for each in part] == [1.0, 1.1, 1.2, 1.3, 1.4]


@pytest.mark.long
@pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium: apt-get install chromium")
def test_the_page_is_recorded_as_an_animation_and_a_still(recorder: Any, tmp_path: Path) -> None:
    checkpoint = write_workdir(tmp_path / "run")
    line = [sys.executable, str(SCRIPT), str(tmp_path), "--checkpoint", str(checkpoint)]
    subprocess.run([*line, "--fill", "1", "--seconds", "5"], check=True, timeout=240)
    with Image.open(tmp_path / "viewer.webp") as animation:
        assert (animation.width, animation.height) == (880, 656)
        assert animation.n_frames > 5
    with Image.open(tmp_path / "viewer.png") as still:
        assert still.width > animation.width
