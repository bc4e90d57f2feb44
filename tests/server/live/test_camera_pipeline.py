from __future__ import annotations

import asyncio
import dataclasses
import threading
import time

import numpy as np
import pytest

from server.live.analysis import STAGES
from server.live.controls import Controls
from tests.server.live.stage import Stage, next_analysis, size_of, until

pytestmark = pytest.mark.timeout(60)


async def test_a_watched_frame_becomes_an_image_and_a_result_with_the_times_of_its_stages(
    stage: Stage, photo: np.ndarray
) -> None:
    pipeline = stage.pipeline
    with pipeline.images.subscribe() as images, pipeline.results.subscribe() as results:
        number = stage.camera.show(photo)
        part, analysis = await next_analysis(images)
        assert await anext(results) is analysis is pipeline.latest
        assert part.number == analysis.number == number
        assert size_of(part) == photo.shape
        (face,) = analysis.faces
        assert face.track == 1
        assert face.raw.sum() == pytest.approx(1, abs=1e-5)
        left, top, width, height = face.box
        assert 0 < left < left + width < 512
        assert 0 < top < top + height < 480
        assert set(analysis.stages) == set(STAGES)
        assert all(0 <= seconds < 20 for seconds in analysis.stages.values())
        total = part.published_s - part.captured_s
        assert sum(analysis.stages.values()) <= total + 1e-3
    assert stage.analyzed() == 1
    assert stage.encoded() == 1
    assert stage.figure("fer_faces_total", camera="desk") == 1
    assert stage.figure("fer_batch_rows_count") == 1
    assert b'fer_camera_status{camera="desk",status="live"} 1.0' in stage.metrics.exposition()


async def test_with_nobody_watching_frames_are_analysed_but_neither_drawn_nor_encoded(
    stage: Stage, photo: np.ndarray
) -> None:
    assert stage.camera.watched is False
    stage.camera.show(photo)
    await until(lambda: stage.pipeline.latest is not None)
    assert stage.pipeline.latest is not None
    assert len(stage.pipeline.latest.faces) == 1
    assert "encode" not in stage.pipeline.latest.stages
    assert stage.encoded() == 0
    for broadcast in (stage.pipeline.results, stage.pipeline.images):
        with broadcast.subscribe():
            assert stage.camera.watched is True
        assert stage.camera.watched is False


async def test_a_hundred_viewers_cost_one_encoding_per_frame(
    stage: Stage, photo: np.ndarray
) -> None:
    viewers = [stage.pipeline.images.subscribe(replay=False) for _ in range(100)]
    for _ in range(3):
        stage.camera.show(photo)
        parts = [await next_analysis(viewer) for viewer in viewers]
        assert len({id(part.jpeg) for part, _ in parts}) == 1
    assert stage.encoded() == 3
    for viewer in viewers:
        viewer.close()


async def test_a_snapshot_is_an_image_captured_after_it_was_asked_for(
    video_stage: Stage, photo: np.ndarray
) -> None:
    with video_stage.pipeline.images.subscribe() as viewer:
        video_stage.camera.show(photo)
        await next_analysis(viewer)
    snapshot = asyncio.create_task(video_stage.pipeline.snapshot())
    await until(lambda: video_stage.camera.watched is True)
    assert video_stage.pipeline.latest is not None
    before_s = video_stage.pipeline.latest.captured_s
    while video_stage.encoded() < 2:  # an unpaced video has only 30 frames per second encoded
        video_stage.camera.show(photo, age_s=0.05 + time.monotonic() - before_s)
        await asyncio.sleep(0.05)
    assert not snapshot.done()
    fresh = set()
    while not snapshot.done():
        fresh.add(video_stage.camera.show(photo))
        await asyncio.wait({snapshot}, timeout=0.05)
    part = snapshot.result()
    assert part.analysis is not None
    assert part.number in fresh
    assert video_stage.pipeline.images.viewers == 0


async def test_every_frame_of_an_unpaced_video_comes_out_in_order(
    video_stage: Stage, photo: np.ndarray
) -> None:
    with video_stage.pipeline.results.subscribe() as results:
        seen: list[int] = []

        async def watch() -> None:
            async for analysis in results:
                seen.append(analysis.number)

        watching = asyncio.create_task(watch())
        numbers = []
        for k in range(24):
            small = photo[: 200 + 11 * k]  # some take longer than others
            numbers.append(video_stage.camera.show(small, age_s=3.0))
            await until(lambda: video_stage.camera.slot._frame is None)
        await until(lambda: video_stage.analyzed() == len(numbers))
        await asyncio.sleep(0)
        watching.cancel()
    assert seen == sorted(seen)
    assert seen[-1] == numbers[-1]
    assert video_stage.camera.state.drops == 0
    assert video_stage.dropped("late") == 0


async def test_a_frame_that_had_to_wait_for_a_detector_gives_way_to_the_newest(
    stage: Stage, photo: np.ndarray
) -> None:
    for _ in range(stage.pool.threads):
        await stage.pool.place()
    stage.camera.show(photo)
    await until(lambda: stage.camera.slot._frame is None)
    stage.camera.show(photo)
    newest = stage.camera.show(photo)
    for _ in range(stage.pool.threads):
        stage.pool.give_up_place()
    await until(lambda: stage.pipeline.latest is not None)
    assert stage.pipeline.latest is not None
    assert stage.pipeline.latest.number == newest
    assert stage.camera.state.drops == 2


async def test_a_frame_that_cannot_be_analysed_costs_only_itself(
    stage: Stage, photo: np.ndarray, caplog: pytest.LogCaptureFixture
) -> None:
    with stage.pipeline.images.subscribe() as viewer:
        stage.camera.show(np.zeros((0, 10, 3), np.uint8))
        await until(lambda: stage.dropped("error") == 1)
        number = stage.camera.show(photo)
        assert (await next_analysis(viewer))[0].number == number
    assert "camera desk: a frame failed" in caplog.text


async def test_a_failed_frame_does_not_let_the_next_overtake_the_previous_one(
    stage: Stage, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline, drawn, gate = stage.pipeline, list[int](), threading.Event()
    draw, publish, published = pipeline._marker.draw, pipeline._publish, list[int]()

    def slow_at_first(frame, *rest, **options):
        if frame.number == 1:
            assert gate.wait(20)
        marked = draw(frame, *rest, **options)
        drawn.append(frame.number)
        return marked

    def noted(marked, *rest):
        published.append(marked.analysis.number)
        publish(marked, *rest)

    monkeypatch.setattr(pipeline._marker, "draw", slow_at_first)
    monkeypatch.setattr(pipeline, "_publish", noted)
    with pipeline.images.subscribe():
        assert stage.camera.show(photo) == 1
        await until(lambda: stage.figure("fer_batch_rows_count") == 1)
        stage.camera.show(np.zeros((0, 10, 3), np.uint8))
        await until(lambda: stage.dropped("error") == 1)
        third = stage.camera.show(photo)
        await until(lambda: drawn == [third])
        assert published == []
        gate.set()
        await until(lambda: published == [1, third])


async def test_privacy_applies_to_the_next_image_and_forgets_earlier_ones(
    stage: Stage, photo: np.ndarray
) -> None:
    pipeline = stage.pipeline
    with pipeline.images.subscribe() as viewer:
        sizes = {}
        for privacy in ("none", "pixelate", "no_picture"):
            pipeline.set_controls(dataclasses.replace(pipeline.controls, privacy=privacy))
            assert pipeline.images.latest is None
            stage.camera.show(photo)
            part, analysis = await next_analysis(viewer)
            assert len(analysis.faces) == 1
            sizes[privacy] = len(part.jpeg)
        assert sizes["none"] > sizes["pixelate"] > 2 * sizes["no_picture"]


async def test_an_image_in_progress_when_privacy_changes_is_not_shown(
    stage: Stage, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline, loop = stage.pipeline, asyncio.get_running_loop()
    draw = pipeline._marker.draw

    async def ask_for_privacy() -> None:
        pipeline.set_controls(Controls(privacy="pixelate"))

    def interrupted(*frame, **options):
        marked = draw(*frame, **options)
        asyncio.run_coroutine_threadsafe(ask_for_privacy(), loop).result(10)
        return marked

    with pipeline.images.subscribe(), pipeline.results.subscribe() as results:
        monkeypatch.setattr(pipeline._marker, "draw", interrupted)
        stage.camera.show(photo)
        await anext(results)
        assert stage.encoded() == 1
        assert pipeline.images.latest is None
        stage.camera.show(photo)
        await anext(results)
        assert pipeline.images.latest is not None


async def test_a_cancelled_pipeline_does_not_wait_for_frames_in_progress(
    stage: Stage, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline, loop, gates = stage.pipeline, asyncio.get_running_loop(), list[threading.Event]()
    draw = pipeline._marker.draw

    def held(*frame, **options):
        gate = threading.Event()
        loop.call_soon_threadsafe(gates.append, gate)
        assert gate.wait(20)
        return draw(*frame, **options)

    monkeypatch.setattr(pipeline._marker, "draw", held)
    with pipeline.images.subscribe():
        for count in (1, 2):
            stage.camera.show(photo)
            await until(lambda count=count: len(gates) == count)
        stage.running.cancel()
        await asyncio.wait((stage.running,), timeout=10)
        assert stage.running.cancelled()
    for gate in gates:
        gate.set()


async def test_closing_ends_the_streams_with_frames_in_progress(
    stage: Stage, photo: np.ndarray
) -> None:
    async def watch() -> None:
        with stage.pipeline.images.subscribe() as viewer:
            async for _ in viewer:
                pass

    watching = [asyncio.create_task(watch()) for _ in range(5)]
    await asyncio.sleep(0)
    stage.camera.show(photo)
    await asyncio.sleep(0.001)
    began = time.monotonic()
    await stage.pipeline.close()
    await asyncio.gather(*watching)
    assert time.monotonic() - began < 5
    assert stage.pipeline.images.viewers == 0


def batches(stage: Stage) -> float:
    return stage.figure("fer_batch_rows_count")


async def test_a_repeated_image_is_analysed_and_encoded_once_and_still_reported(
    stage: Stage, photo: np.ndarray
) -> None:
    with stage.pipeline.images.subscribe() as images:
        stage.camera.repeat(photo)
        first, _ = await next_analysis(images)
        stage.camera.repeat(photo)
        second, analysis = await next_analysis(images)
        assert (batches(stage), stage.encoded(), stage.analyzed()) == (1, 1, 2)
        assert second.jpeg is first.jpeg
        assert second.number == analysis.number == first.number + 1
        assert [face.track for face in analysis.faces] == [1]
        assert "encode" in analysis.stages


async def test_a_repeated_image_is_drawn_again_when_it_is_to_look_different(
    stage: Stage, photo: np.ndarray
) -> None:
    pipeline = stage.pipeline
    with pipeline.images.subscribe() as images, pipeline.streams["plain"].subscribe() as plain:
        shown = []
        for changes in ({}, {"mirror": True}, {"privacy": "pixelate"}, {"rotate": 90}):
            pipeline.set_controls(dataclasses.replace(pipeline.controls, **changes))
            stage.camera.repeat(photo)
            shown.append((await next_analysis(images))[0].jpeg)
            await next_analysis(plain)
        assert len(set(shown)) == 4
        assert batches(stage) <= 2  # found again after it was turned only
    snapshot = stage.encoded()
    with pipeline.images.subscribe() as images:
        stage.camera.repeat(photo)
        assert (await next_analysis(images))[0].jpeg == shown[-1]
    assert stage.encoded() == snapshot
