"""Whatever happens to a capture process, its camera recovers, and nothing is left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from server.cameras.opening import CapturedCamera, open_cameras
from server.cameras.patience import Patience, how_it_ended, patience_for
from server.settings import Settings, Source
from tests.server.network_camera import MjpegCamera, NetworkCamera, RtspCamera
from tests.server.open_camera import (
    HURRIED,
    WITHIN_S,
    alive,
    belongings,
    children,
    frame_of,
    opened,
    status_is,
    until,
    webcam,
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
        while camera.state.drops < before.drops + 5:  # noqa: ASYNC110 - single frames tell nobody
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
        # Ten idle seconds would follow; a busy machine may take some.
        assert last.captured_s - third.captured_s < 5


async def test_a_paused_camera_gives_nothing_and_resumes() -> None:
    async with opened("demo", "demo") as camera:
        await until(camera, status_is("live"))
        camera.set_paused(True)
        assert camera.state.status == "paused"
        count = camera.state.frames
        await asyncio.sleep(HURRIED.restart_s + 0.5)  # no watchdog either
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
                await asyncio.sleep(HURRIED.restart_s + 0.5)  # ours is no stall of the camera's
        assert [frame.number for frame in frames] == list(range(1, 25))
        greys = [round(float(frame.image.mean()), -1) for frame in frames]
        assert greys == [10 * number for number in range(8)] * 3
        state = camera.state
        assert (state.drops, state.reconnects, state.status) == (0, 0, "live")


async def test_a_killed_capture_process_is_replaced_and_frame_numbers_go_on() -> None:
    async with opened("demo", "demo") as camera:
        await until(camera, status_is("live"))
        count, pid = camera.state.frames, camera.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        state = await until(camera, status_is("reconnecting"))
        assert "SIGKILL" in state.reason
        assert state.retry_in_s is not None
        assert state.fps == 0
        state = await until(camera, status_is("live"))
        assert (state.reconnects, state.retry_in_s) == (1, None)
        assert camera.pid != pid
        assert (await frame_of(camera)).number > count
        assert not alive(pid)


async def test_a_stopped_capture_process_is_stalled_then_killed_and_replaced() -> None:
    async with opened("demo", "demo") as camera:
        await until(camera, status_is("live"))
        pid = camera.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        state = await until(camera, status_is("stalled"))
        assert "no image for" in state.reason
        await until(camera, status_is("reconnecting"))
        await until(camera, status_is("live"))
        assert not alive(pid)


async def test_a_stall_that_ends_by_itself_costs_no_restart() -> None:
    patience = Patience(stall_s=0.4, restart_s=WITHIN_S)
    async with opened("demo", "demo", patience=patience) as camera:
        await until(camera, status_is("live"))
        assert camera.pid is not None
        os.kill(camera.pid, signal.SIGSTOP)
        await until(camera, status_is("stalled"))
        os.kill(camera.pid, signal.SIGCONT)
        state = await until(camera, status_is("live"))
        assert state.reconnects == 0


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("hang", "no image for"), ("crash", "SIGABRT"), ("noise", "something that is not an image")],
)
async def test_a_process_whose_driver_fails_is_replaced(
    fault: str, reason: str, tmp_path: Path
) -> None:
    node = tmp_path / "video0"
    node.write_text("")
    async with webcam(node) as camera:
        await until(camera, status_is("live"))
        node.write_text(fault)
        state = await until(camera, status_is("reconnecting"))
        assert reason in state.reason
        node.write_text("")
        await until(camera, status_is("live"))


@pytest.mark.parametrize("trouble", ["busy", "forbidden"])
async def test_a_webcam_that_cannot_be_opened_reports_why_and_is_retried(
    trouble: str, tmp_path: Path
) -> None:
    node = tmp_path / "video0"
    node.write_text(trouble)
    async with webcam(node) as camera:
        state = await until(camera, status_is(trouble))
        assert state.reason
        node.write_text("")
        await until(camera, status_is("live"))


async def test_a_webcam_plugged_in_again_is_reopened_at_once(tmp_path: Path) -> None:
    node = tmp_path / "video0"
    node.write_text("")
    async with webcam(node, patience=Patience(waits_s=(600.0,))) as camera:
        await until(camera, status_is("live"))
        node.unlink()
        state = await until(camera, status_is("missing"))
        assert "unplugged" in state.reason
        assert state.retry_in_s is not None
        assert state.retry_in_s > 300
        node.write_text("")
        await until(camera, status_is("live"))


async def test_a_webcam_that_was_never_there_is_missing_and_not_an_error(tmp_path: Path) -> None:
    async with opened("device", str(tmp_path / "video0")) as camera:
        state = await until(camera, status_is("missing"))
        assert "plugged in" in state.reason
        assert state.frames == 0


@pytest.mark.parametrize("kind", [MjpegCamera, RtspCamera])
async def test_a_network_camera_comes_back_after_being_unplugged_and_after_hanging(
    kind: type[NetworkCamera],
) -> None:
    away = kind()
    try:
        async with opened("network", away.where) as camera:
            await until(camera, status_is("live"))
            away.unplug()
            state = await until(camera, status_is("missing"))
            assert "secret" not in state.reason
            away.plug_in()
            await until(camera, status_is("live"))
            away.hangs.set()
            state = await until(camera, status_is("reconnecting"))
            assert "no image for" in state.reason
            away.hangs.clear()
            await until(camera, status_is("live"))
    finally:
        away.unplug()


async def test_closing_leaves_nothing_behind_even_of_processes_that_hang(tmp_path: Path) -> None:
    video = write_video(tmp_path / "video.avi", 8)

    await asyncio.sleep(0)
    before, before_children = belongings(), children()
    sources = (
        Source("demo", "demo", "demo", "demo"),
        Source("video", "file", str(video), "video"),
        Source("gone", "device", str(tmp_path / "video0"), "gone"),
        Source("visitor", "browser", "browser", "browser"),
    )
    settings = Settings(sources=sources, width=160, height=120, unpaced=True)
    cameras = await open_cameras(settings)
    assert [camera.name for camera in cameras] == ["demo", "video", "gone", "visitor"]
    demo, video_camera = cameras[0], cameras[1]
    await asyncio.wait_for(demo.slot.get(), WITHIN_S)
    await asyncio.wait_for(video_camera.slot.get(), WITHIN_S)  # from now on its thread blocks
    assert isinstance(demo, CapturedCamera)
    assert demo.pid is not None
    os.kill(demo.pid, signal.SIGSTOP)
    began_s = time.monotonic()
    await asyncio.gather(*(camera.close() for camera in cameras))
    assert time.monotonic() - began_s < 5
    await asyncio.gather(*(camera.close() for camera in cameras))
    assert {camera.state.status for camera in cameras} == {"ended"}
    assert (belongings(), children()) == (before, before_children)


async def test_a_camera_can_be_closed_while_a_hung_process_is_being_replaced() -> None:
    async def hang_and_close(delay_s: float) -> None:
        async with opened("demo", "demo") as camera:
            await until(camera, status_is("live"))
            assert camera.pid is not None
            os.kill(camera.pid, signal.SIGSTOP)
            await asyncio.sleep(delay_s)

    before, before_children = belongings(), children()
    delays = (HURRIED.restart_s + 0.15 * step for step in range(6))
    await asyncio.gather(*map(hang_and_close, delays))
    assert (belongings(), children()) == (before, before_children)


def test_waits_grow_and_vary_and_networks_are_given_more_time() -> None:
    patience = Patience()
    for failures, wait_s in enumerate((1, 1, 2, 5, 10, 30, 60, 60)):
        waits = [patience.wait_s(failures) for _ in range(20)]
        assert min(waits) >= 0.8 * wait_s
        assert max(waits) <= 1.2 * wait_s
        assert len(set(waits)) > 1
    assert patience_for("network").restart_s == 20
    assert patience_for("device").restart_s == 5
    assert how_it_ended(-signal.SIGKILL) == "the capture process was ended by SIGKILL"
    assert "code 3" in how_it_ended(3)
