"""A recording's files, and that it never affects the cameras."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from fer_jax import Predictor
from fer_jax.media.video import VideoReader
from fer_jax.scoring.writers import read_rows
from server.live import recording_files, recording_space, rendering
from server.live.analysis import Analysis
from server.live.recording import Recorder
from server.live.recording_space import Space
from tests.server.live.stage import Stage, staged, until

pytestmark = pytest.mark.timeout(60)


def made(folder: Path, kind: str) -> list[Path]:
    return sorted(folder.glob(f"*.{kind}"))


def images_of(video: Path) -> list[np.ndarray]:
    with VideoReader(video) as reader:
        return [frame.image for frame in reader]


def analysis(number: int, *, width: int = 64) -> Analysis:
    return Analysis(
        camera="desk",
        number=number,
        captured_s=number / 25,
        wall_s=1e9,
        width=width,
        height=48,
        faces=(),
        stages={},
    )


async def record(stage: Stage, photo: np.ndarray, count: int) -> None:
    for _ in range(count):
        before = stage.analyzed()
        stage.camera.show(photo)
        await until(lambda before=before: stage.analyzed() > before)


def control(stage: Stage, **changes: object) -> None:
    pipeline = stage.pipeline
    pipeline.set_controls(dataclasses.replace(pipeline.controls, **changes))  # type: ignore[arg-type]


async def test_a_recording_is_a_csv_as_scoring_writes_it_and_a_video_of_the_marked_faces(
    predictor: Predictor, photo: np.ndarray, tmp_path: Path
) -> None:
    async with staged(predictor, recordings=tmp_path / "made") as stage:
        await record(stage, photo, 2)
        assert not (tmp_path / "made").exists()
        control(stage, recording=True, mirror=True)
        assert stage.camera.watched is True
        await record(stage, photo, 3)
        control(stage, recording=False)
        assert stage.camera.watched is False
        await record(stage, photo, 1)
    (table,), (video,) = (made(tmp_path / "made", kind) for kind in ("csv", "mp4"))
    assert table.stem == video.stem
    assert {path.stat().st_mode & 0o777 for path in (table, video)} == {0o600}
    rows = list(read_rows(table))
    assert [(row.path, row.status, row.frame, row.face) for row in rows] == [
        ("desk", "ok", frame, 1) for frame in range(3)
    ]
    assert rows[0].time_s == 0
    assert rows[0].probabilities is not None
    assert rows[0].confidence == max(rows[0].probabilities)
    assert sum(rows[0].smoothed or ()) == pytest.approx(1, abs=1e-4)
    shown = images_of(video)
    assert len(shown) == 3
    assert shown[0].shape == photo.shape
    box = rows[0].box
    assert box is not None
    left, top, _, high = map(round, box)
    edge = np.s_[
        top + high // 4 : top + 3 * high // 4, left - 1 : left + 2
    ]  # mirroring affects only the view
    assert np.abs(shown[0][edge].astype(int) - photo[edge]).mean() > 30
    away = np.s_[-40:, -40:]
    assert np.abs(shown[0][away].astype(int) - photo[away]).mean() < 12


async def test_privacy_applies_to_a_recording_as_to_every_stream(
    predictor: Predictor, photo: np.ndarray, tmp_path: Path
) -> None:
    async with staged(predictor, recordings=tmp_path, record=True) as stage:
        for privacy in ("none", "pixelate", "no_picture"):
            control(stage, privacy=privacy)
            await record(stage, photo, 1)
    (table,), (video,) = made(tmp_path, "csv"), made(tmp_path, "mp4")
    rows = list(read_rows(table))
    assert len(rows) == 3
    box = rows[0].box
    assert box is not None
    left, top, wide, high = map(round, box)
    inside = np.s_[top + high // 3 : top + 2 * high // 3, left + wide // 4 : left + 3 * wide // 4]
    shown, pixelated, withheld = images_of(video)
    plain, coarse = (
        np.abs(np.diff(image[inside].mean(2), axis=1)).mean() for image in (shown, pixelated)
    )
    assert plain > 2 * coarse
    height, width = photo.shape[:2]
    notice = rendering.withheld_image("desk", width=width, height=height)
    assert np.abs(withheld.astype(int) - notice).mean() < 5


async def test_a_recording_that_reaches_its_limit_ends_in_one_line_and_the_camera_continues(
    predictor: Predictor,
    photo: np.ndarray,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with staged(predictor, recordings=tmp_path, record=True, record_limit_gb=1e-5) as stage:
        while stage.pipeline.controls.recording:
            await record(stage, photo, 1)
        assert "10^9" not in stage.pipeline.recorder.problem
        assert "reached 1e-05 GB" in stage.pipeline.recorder.problem
        await record(stage, photo, 2)
    lines = [line for line in caplog.messages if "recording ended" in line]
    assert len(lines) == 1
    (video,) = made(tmp_path, "mp4")
    assert images_of(video)


@pytest.mark.parametrize("trouble", ["file", "full"])
async def test_an_unwritable_folder_is_reported_and_stops_nothing(
    trouble: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "recordings"
    if trouble == "file":
        folder.touch()
    else:
        monkeypatch.setattr(recording_space, "_LEAST_FREE_BYTES", 1 << 60)
    failed = asyncio.Event()
    recorder = Recorder("desk", space=Space(folder, most_bytes=1 << 30), on_failure=failed.set)
    recorder.switch(True, fps=25)
    recorder.add(analysis(1), None, uncertain_below=0.5)
    await asyncio.wait_for(failed.wait(), 20)
    assert not recorder.active
    assert {"file": "cannot be written", "full": "nearly full"}[trouble] in recorder.problem
    recorder.add(analysis(2), None, uncertain_below=0.5)
    await recorder.close()


async def test_a_slow_disk_delays_nothing_and_costs_only_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, written = threading.Event(), list[tuple[int, bool]]()

    def slow(self: object, found: Analysis, image: np.ndarray | None, **_: object) -> None:
        assert gate.wait(20)
        written.append((found.number, image is not None))

    monkeypatch.setattr(recording_files.RecordingFiles, "add", slow)
    recorder = Recorder("desk", space=Space(tmp_path, most_bytes=1 << 30), on_failure=gate.set)
    recorder.switch(True, fps=25)
    image = np.zeros((48, 64, 3), np.uint8)
    for number in range(1, 31):
        recorder.add(analysis(number), image, uncertain_below=0.5)  # no thread takes them
    gate.set()
    await recorder.close()
    assert [number for number, _ in written] == list(range(1, 31))
    assert 8 <= sum(pictured for _, pictured in written) < 15


async def test_a_camera_that_changes_size_continues_in_new_files(tmp_path: Path) -> None:
    recorder = Recorder("desk", space=Space(tmp_path, most_bytes=1 << 30), on_failure=lambda: None)
    recorder.switch(True, fps=25)
    for number, width in enumerate((64, 64, 96), start=1):
        image = np.zeros((48, width, 3), np.uint8)
        recorder.add(analysis(number, width=width), image, uncertain_below=0.5)
    await recorder.close()
    widths = [images_of(path)[0].shape[1] for path in made(tmp_path, "mp4")]
    assert sorted(widths) == [64, 96]
    assert [row.status for path in made(tmp_path, "csv") for row in read_rows(path)] == [
        "no_face",
        "no_face",
    ]


KILLED = """
import sys, time
from pathlib import Path
import numpy as np
from server.live.analysis import Analysis, TrackedFace
from server.live.recording_files import RecordingFiles

even = np.full(7, 1 / 7, np.float32)
face = TrackedFace(track=1, box=(1.0, 1.0, 9.0, 9.0), detection_score=0.9, raw=even, probabilities=even,
                   expression="sad", confidence=1 / 7, uncertain=True)

def analysis(number):
    return Analysis(camera="desk", number=number, captured_s=number / 25, wall_s=1e9, width=64,
                    height=48, faces=(face,), stages={})

files = RecordingFiles(Path(sys.argv[1]), "desk", first=analysis(0), fps=25)
for number in range(200):
    if number == 150:
        time.sleep(1.1)  # rows are written to the disk once a second
    image = np.full((48, 64, 3), number, np.uint8)
    files.add(analysis(number), image, uncertain_below=0.5)
print("written", flush=True)
time.sleep(60)
"""


def test_a_recording_can_be_read_after_the_server_was_killed(tmp_path: Path) -> None:
    line = [sys.executable, "-c", KILLED, str(tmp_path)]
    with subprocess.Popen(line, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        os.kill(process.pid, signal.SIGKILL)
    (video,) = made(tmp_path, "mp4")
    assert len(images_of(video)) >= 200 - 2 * 25  # at most the last two of eight seconds are lost
    (table,) = made(tmp_path, "csv")
    assert len(list(read_rows(table))) >= 150
