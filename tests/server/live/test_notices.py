from __future__ import annotations

import asyncio
import dataclasses
import threading

import numpy as np
import pytest

from server.live import rendering
from server.live.controls import Controls
from tests.server.live.stage import Stage, next_analysis, size_of, until

pytestmark = pytest.mark.timeout(60)


async def test_a_snapshot_of_a_camera_without_images_shows_its_state(stage: Stage) -> None:
    stage.camera.become("missing", "no such device")
    part = await stage.pipeline.snapshot()
    assert part.analysis is None
    assert size_of(part) == (480, 640, 3)


async def test_the_cameras_state_is_shown_on_the_image_until_frames_return(
    stage: Stage, photo: np.ndarray
) -> None:
    with stage.pipeline.images.subscribe() as viewer:
        stage.camera.show(photo)
        await next_analysis(viewer)
        stage.camera.become("stalled", "no image for 2 s")
        notice = await anext(viewer)
        assert notice.analysis is None
        assert size_of(notice) == photo.shape
        stage.camera.become("reconnecting", "the camera hangs", retry_in_s=1.5)
        images = {(await anext(viewer)).jpeg}
        while len(images) < 2:  # the countdown
            images.add((await anext(viewer)).jpeg)
        stage.camera.become("live")
        number = stage.camera.show(photo)
        assert (await next_analysis(viewer))[0].number == number


async def test_a_new_viewer_of_a_broken_camera_sees_the_notice_at_once_and_no_old_image(
    stage: Stage, photo: np.ndarray
) -> None:
    with stage.pipeline.images.subscribe() as viewer:
        stage.camera.show(photo)
        await next_analysis(viewer)
    assert stage.pipeline.images.latest is None
    stage.camera.become("forbidden", "no permission")
    with stage.pipeline.images.subscribe() as viewer:
        assert (await asyncio.wait_for(anext(viewer), 5)).analysis is None


async def test_a_notice_in_progress_when_privacy_changes_shows_no_earlier_image(
    stage: Stage, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline, behind, gate = stage.pipeline, list[np.ndarray | None](), threading.Event()
    render = rendering.notice

    def slow_at_first(*text, **options):
        behind.append(options["behind"])
        assert len(behind) > 1 or gate.wait(20)
        return render(*text, **options)

    monkeypatch.setattr(rendering, "notice", slow_at_first)
    with pipeline.images.subscribe() as viewer:
        stage.camera.show(photo)
        await next_analysis(viewer)
        stage.camera.become("stalled", "no image for 2 s")
        await until(lambda: len(behind) == 1)
        pipeline.set_controls(Controls(privacy="pixelate"))
        gate.set()
        notice = await anext(viewer)
        assert notice.analysis is None
    assert behind[0] is not None
    assert behind[1:] == [None]


async def test_a_paused_camera_freezes_and_says_so(stage: Stage, photo: np.ndarray) -> None:
    pipeline = stage.pipeline
    with pipeline.images.subscribe() as viewer:
        stage.camera.show(photo)
        await next_analysis(viewer)
        pipeline.set_controls(dataclasses.replace(pipeline.controls, paused=True))
        assert stage.camera.paused
        assert (await anext(viewer)).analysis is None
        stage.camera.show(photo)  # one that was in progress
        await until(lambda: stage.camera.slot._frame is None)
        pipeline.set_controls(dataclasses.replace(pipeline.controls, paused=False))
        number = stage.camera.show(photo)
        assert (await next_analysis(viewer))[0].number == number
