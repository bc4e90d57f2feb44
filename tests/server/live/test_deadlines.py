from __future__ import annotations

import asyncio

import numpy as np
import pytest

from server.cameras.frames import Frame
from server.live.deadlines import Lateness
from tests.server.live.stage import Stage, next_analysis, until

pytestmark = pytest.mark.timeout(60)


def test_a_frame_is_late_after_two_intervals_at_the_current_throughput():
    def frame(captured_s: float) -> Frame:
        image = np.zeros((1, 1, 3), np.uint8)
        return Frame(number=1, image=image, captured_s=captured_s, wall_s=0.0, read_s=0.01)

    quick = Lateness(0.0)
    for k in range(1, 31):
        quick.frame_done(k / 30)
    assert abs(quick.deadline_s(frame(1.0), interval_s=1 / 30, now_s=1.01) - (1.01 + 2 / 30)) < 1e-3
    slow = Lateness(0.0)
    for k in range(1, 31):
        slow.frame_done(k / 5)
    assert abs(slow.deadline_s(frame(6.0), interval_s=1 / 30, now_s=6.0) - (6.01 + 2 / 5)) < 1e-2
    # No frame got through for a second, so a frame of that age is not late.
    assert slow.deadline_s(frame(6.0), interval_s=1 / 30, now_s=7.0) == 8.01


async def test_late_frames_are_dropped_and_counted_but_a_slow_machine_still_shows_some(
    stage: Stage, photo: np.ndarray
) -> None:
    with stage.pipeline.images.subscribe(replay=False) as viewer:
        stage.camera.show(photo)
        await next_analysis(viewer)
        stage.camera.declare_fps(30.0)
        stage.camera.show(photo, age_s=30.0)
        await until(lambda: stage.dropped("late") == 1)
        # Frames that are always 0.3 s old get through at a rate at which they are not late.
        for _ in range(200):
            stage.camera.show(photo, age_s=0.3)
            await asyncio.sleep(0.02)
            if stage.analyzed() >= 3:
                return
        raise AssertionError("no frame got through")
