"""Cameras with their own process, in normal operation."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from server.cameras.patience import Patience
from tests.server.open_camera import (
    HURRIED,
    WITHIN_S,
    frame_of,
    opened,
    status_is,
    until,
)
from tests.server.orders import write_video

pytestmark = pytest.mark.timeout(4 * WITHIN_S)


async def test_the_demo_is_live_and_counts_its_frames() -> None:
    async with opened("demo", "demo") as camera:
        first = await frame_of(camera)
        assert first.image.shape == (120, 160, 3)
        assert not first.image.flags.writeable
        assert 0 <= first.read_s <= time.monotonic() - first.captured_s
        assert abs(first.wall_s - time.time()) < WITHIN_S
        await frame_of(camera)
        last = await frame_of(camera)
        assert last.number > first.number
        state = await until(camera, status_is("live"))
        assert (state.width, state.height, state.reason) == (160, 120, "")
        assert state.fps > 0
        assert camera.interval_s == pytest.approx(1 / 30)
    assert camera.state.status == "ended"


async def test_frames_that_nobody_takes_are_dropped_and_counted() -> None:
    async with opened("demo", "demo") as camera:
        await until(camera, status_is("live"))
        before = camera.state
        while camera.state.drops < before.drops + 5:  # noqa: ASYNC110 - single frames set no event
            await asyncio.sleep(0.02)
        assert camera.state.frames >= before.frames + 5
        newest = await frame_of(camera)
        assert newest.number > before.frames + 4


async def test_an_unwatched_camera_gives_one_frame_a_second_until_somebody_watches() -> None:
    async with opened("demo", "demo", watched=False, patience=Patience()) as camera:
        first = await frame_of(camera)
        second = await frame_of(camera)
        assert second.captured_s - first.captured_s > 0.9
        camera.set_demand(True)
        third = await frame_of(camera)
        for _ in range(10):
            last = await frame_of(camera)
        # Ten idle seconds would follow; a busy machine may need some of them.
        assert last.captured_s - third.captured_s < 5


async def test_a_paused_camera_gives_nothing_and_resumes() -> None:
    async with opened("demo", "demo") as camera:
        await until(camera, status_is("live"))
        camera.set_paused(True)
        assert camera.state.status == "paused"
        count = camera.state.frames
        await asyncio.sleep(HURRIED.restart_s + 0.5)  # the watchdog stays silent, too
        assert (camera.state.frames, camera.state.status) == (count, "paused")
        camera.set_paused(False)
        state = await until(camera, status_is("live"))
        assert state.reconnects == 0


async def test_an_unpaced_video_loses_no_frame_however_slowly_they_are_taken(
    tmp_path: Path,
) -> None:
    video = write_video(tmp_path / "video.avi", 8)

    async with opened("file", str(video), unpaced=True) as camera:
        assert camera.lossless
        frames = []
        for count in range(24):
            frames.append(await frame_of(camera))
            if count == 10:
                await asyncio.sleep(
                    HURRIED.restart_s + 0.5
                )  # our delay does not count as a stall of the camera
        assert [frame.number for frame in frames] == list(range(1, 25))
        greys = [round(float(frame.image.mean()), -1) for frame in frames]
        assert greys == [10 * number for number in range(8)] * 3
        state = camera.state
        assert (state.drops, state.reconnects, state.status) == (0, 0, "live")
