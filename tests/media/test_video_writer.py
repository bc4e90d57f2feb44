"""Written videos, as a browser and a reader see them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from fer_jax.media import video_writer
from fer_jax.media.video import VideoReader
from fer_jax.media.video_writer import VideoWriter
from tests.chromium import opened_file

TIMES = [0.0, 0.1, 0.25, 0.3, 0.9, 2.0, 2.05]
RED, GREEN, BLUE = (200, 30, 40), (30, 180, 60), (40, 50, 190)


@pytest.fixture(params=["H.264", "VP8"])
def codec(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "VP8":  # as if FFmpeg had no H.264 encoder
        monkeypatch.setattr(video_writer, "_KINDS", video_writer._KINDS[1:])
    return request.param


def flat(colour: tuple[int, int, int], *, width: int = 81, height: int = 61) -> np.ndarray:
    return np.full((height, width, 3), colour, np.uint8)


def write(path: Path, **options: bool) -> VideoWriter:
    with VideoWriter(path, size=(81, 61), rate=10, **options) as video:
        for n, time_s in enumerate(TIMES):
            video.write(flat((RED, GREEN, BLUE)[n % 3]), time_s=time_s)
    return video


@pytest.mark.parametrize("readable_always", [False, True])
def test_frames_keep_their_times_and_colours_at_odd_sizes(
    tmp_path: Path, codec: str, readable_always: bool
) -> None:
    written = write(tmp_path / "faces", readable_always=readable_always)
    assert written.path.name == {"H.264": "faces.mp4", "VP8": "faces.webm"}[codec]
    with VideoReader(written.path) as video:
        assert (video.width, video.height) == (82, 62)
        frames = list(video)
    assert [frame.time_s for frame in frames] == pytest.approx(TIMES, abs=1e-3)
    for frame in frames:
        off = frame.image.reshape(-1, 3).astype(int) - (RED, GREEN, BLUE)[frame.index % 3]
        assert np.abs(off).max() < 12


def test_a_browser_plays_both_kinds(tmp_path: Path, codec: str) -> None:
    path = write(tmp_path / "faces").path
    page = tmp_path / "page.html"
    page.write_text(f'<video src="{path.name}" muted></video>')
    with opened_file(page) as (shown, complaints):
        shown.evaluate("document.querySelector('video').play()")
        shown.wait_for_function("document.querySelector('video').ended")
        video = "document.querySelector('video')"
        assert shown.evaluate(f"{video}.readyState") >= 2
        assert shown.evaluate(f"[{video}.videoWidth, {video}.videoHeight]") == [82, 62]
        assert shown.evaluate(f"{video}.getVideoPlaybackQuality().totalVideoFrames") > 0
    assert complaints == []


def test_a_killed_recording_can_be_played_to_its_last_second(tmp_path: Path, codec: str) -> None:
    video = VideoWriter(tmp_path / "faces", size=(64, 48), rate=10, readable_always=True)
    for n in range(50):
        video.write(flat(RED, width=64, height=48), time_s=n / 10)
    killed = tmp_path / f"killed{video.path.suffix}"
    shutil.copy(video.path, killed)
    video.close()
    with VideoReader(killed) as seen:
        assert 39 <= len(list(seen)) <= 50


def test_a_frame_of_another_size_is_fitted_in_completely(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", size=(80, 60), rate=1e-5) as video:
        video.write(flat(RED, width=60, height=80), time_s=0)
    with VideoReader(video.path) as seen:
        (frame,) = seen
    assert frame.image.shape == (60, 80, 3)
    assert frame.image[:, :16].max() < 20
    assert frame.image[30, 40, 0] > 180


def test_timestamps_that_jump_by_years_give_a_video_of_hours(tmp_path: Path, codec: str) -> None:
    with VideoWriter(tmp_path / "a", size=(64, 48), rate=10) as video:
        for time_s in (0, 0.1, 1e9, 1e9 + 0.1):
            video.write(flat(RED, width=64, height=48), time_s=time_s)
    with VideoReader(video.path) as seen:
        times = [frame.time_s for frame in seen]
    assert times == pytest.approx([0, 0.1, 3600.1, 3600.2], abs=2e-3)


def test_a_failed_write_raises_the_systems_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        VideoWriter(tmp_path / "missing" / "a.mp4", size=(64, 64), rate=10)
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    os.symlink("/dev/full", tmp_path / "full.mp4")
    noise = np.random.default_rng(0).integers(0, 255, (160, 160, 3), np.uint8)

    def fill() -> None:
        with VideoWriter(tmp_path / "full.mp4", size=(160, 160), rate=10) as video:
            for n in range(20):
                video.write(noise, time_s=n / 10)

    with pytest.raises(OSError, match="No space left"):
        fill()


def test_names_that_are_not_text_can_be_written(tmp_path: Path) -> None:
    video = write(tmp_path / os.fsdecode(b"http:\xff.mp4"))
    assert video.path.stat().st_size > 1000
