from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest

from fer_jax import Predictor
from server.cameras.camera import Camera, Status
from server.live import rendering
from server.live.analysis import STAGES, Analysis
from server.live.batcher import Batcher
from server.live.broadcast import Part, Viewer
from server.live.camera_pipeline import CameraPipeline
from server.live.controls import Controls
from server.live.detection_threads import DetectionThreads
from server.live.metrics import Metrics
from server.settings import Settings, Source
from tests.small_checkpoint import write_workdir

PHOTO = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
SOURCE = Source(name="desk", kind="demo", where="demo", masked="demo")


class HandCamera(Camera):
    """Gives the frames and states that a test hands it."""

    def __init__(self, *, lossless: bool = False) -> None:
        super().__init__(SOURCE)
        self.lossless = lossless
        self._source_fps = 0.1  # no frame is late, however slow the machine
        self.watched: bool | None = None
        self.paused = False

    async def start(self) -> None:
        """Has nothing to start."""

    async def close(self) -> None:
        """Has nothing to close."""

    def set_demand(self, watched: bool) -> None:
        self.watched = watched

    def set_paused(self, paused: bool) -> None:
        self.paused = paused
        self.become("paused" if paused else "live")

    def become(self, status: Status, reason: str = "", **rest: float) -> None:
        self._set(status, reason, retry_in_s=rest.get("retry_in_s"))

    def declare_fps(self, fps: float) -> None:
        self._source_fps = fps

    def show(self, image: np.ndarray, *, age_s: float = 0.0) -> int:
        """Puts a frame that was captured `age_s` ago into the slot; returns its number."""
        now = time.monotonic()
        frame = self._accept(
            image.copy(), captured_s=now - age_s, wall_s=time.time() - age_s, received_s=now - age_s
        )
        self.slot.put(frame)
        return frame.number


@dataclasses.dataclass
class Stage:
    """A running pipeline and what is around it."""

    camera: HandCamera
    pipeline: CameraPipeline
    pool: DetectionThreads
    metrics: Metrics
    running: asyncio.Task[None]

    def figure(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


@pytest.fixture(scope="module")
def predictor(tmp_path_factory) -> Predictor:
    predictor = Predictor.load(write_workdir(tmp_path_factory.mktemp("run") / "small"), max_batch=4)
    predictor.wait()
    return predictor


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    image = np.asarray(cv2.imread(str(PHOTO), cv2.IMREAD_COLOR_RGB), np.uint8)
    return np.ascontiguousarray(image[:480])


@pytest.fixture
def play(predictor) -> Callable[..., None]:
    """Runs a test with a pipeline around it."""

    @contextlib.asynccontextmanager
    async def staged(lossless: bool) -> AsyncIterator[Stage]:
        metrics, camera = Metrics(), HandCamera(lossless=lossless)
        pool = DetectionThreads(detect_size=160, threads=2)
        await pool.warm_up()
        batcher = Batcher(
            lambda rows: predictor(rows).probabilities, max_batch=4, on_batch=metrics.batch_done
        )
        pipeline = CameraPipeline(
            camera,
            threads=pool,
            batcher=batcher,
            metrics=metrics,
            settings=Settings(sources=(SOURCE,)),
            uncertain_below=predictor.uncertain_below,
        )
        running = asyncio.create_task(pipeline.run())
        camera.become("live")
        await asyncio.sleep(0)
        try:
            yield Stage(camera, pipeline, pool, metrics, running)
        finally:
            await pipeline.close()
            with contextlib.suppress(asyncio.CancelledError):
                await running
            await batcher.close()
            await pool.close()

    def run(test: Callable[[Stage], Awaitable[None]], *, lossless: bool = False) -> None:
        async def whole() -> None:
            async with asyncio.timeout(40), staged(lossless) as stage:
                await test(stage)

        asyncio.run(whole())

    return run


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - counters tell no event
        await asyncio.sleep(0.002)


async def next_analysis(viewer: Viewer[Part]) -> tuple[Part, Analysis]:
    """The next part that is a frame."""
    async for part in viewer:
        if part.analysis is not None:
            return part, part.analysis
    raise AssertionError("the stream has ended")


def size_of(part: Part) -> tuple[int, ...]:
    image = cv2.imdecode(np.frombuffer(part.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image.shape


def test_a_watched_frame_becomes_an_image_and_a_result_with_the_times_of_its_stages(play, photo):
    async def test(stage: Stage) -> None:
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
        assert stage.figure("fer_frames_analyzed_total", camera="desk") == 1
        assert stage.figure("fer_frames_encoded_total", camera="desk") == 1
        assert stage.figure("fer_faces_total", camera="desk") == 1
        assert stage.figure("fer_batch_rows_count") == 1
        assert b'fer_camera_status{camera="desk",status="live"} 1.0' in stage.metrics.exposition()

    play(test)


def test_with_nobody_watching_frames_are_analysed_but_neither_drawn_nor_encoded(play, photo):
    async def test(stage: Stage) -> None:
        assert stage.camera.watched is False
        stage.camera.show(photo)
        await until(lambda: stage.pipeline.latest is not None)
        assert stage.pipeline.latest is not None
        assert len(stage.pipeline.latest.faces) == 1
        assert "encode" not in stage.pipeline.latest.stages
        assert stage.figure("fer_frames_encoded_total", camera="desk") == 0
        for broadcast in (stage.pipeline.results, stage.pipeline.images):
            with broadcast.subscribe():
                assert stage.camera.watched is True
            assert stage.camera.watched is False

    play(test)


def test_a_hundred_viewers_cost_one_encoding_a_frame(play, photo):
    async def test(stage: Stage) -> None:
        viewers = [stage.pipeline.images.subscribe(replay=False) for _ in range(100)]
        for _ in range(3):
            stage.camera.show(photo)
            parts = [await next_analysis(viewer) for viewer in viewers]
            assert len({id(part.jpeg) for part, _ in parts}) == 1
        assert stage.figure("fer_frames_encoded_total", camera="desk") == 3
        for viewer in viewers:
            viewer.close()

    play(test)


def test_a_frames_faces_are_kept_until_the_next_frame_or_until_everybody_has_gone(play, photo):
    async def test(stage: Stage) -> None:
        pipeline = stage.pipeline
        with pipeline.images.subscribe() as images, pipeline.results.subscribe() as results:
            stage.camera.show(photo)
            (face,) = (await anext(results)).faces
            kept = pipeline.faces.find(face.track)
            assert kept is not None
            assert kept.expression == face.expression
            assert (kept.crop.shape, kept.crop.base) == ((48, 48), None)  # no view keeps the frame
            images.close()
            assert pipeline.faces.find(face.track) is kept
        assert pipeline.faces.find(face.track) is None
        with pipeline.results.subscribe(replay=False) as results:
            stage.camera.show(photo)
            await anext(results)
            assert pipeline.faces.find(face.track) is not None
            stage.camera.show(np.zeros_like(photo))
            await anext(results)
            assert pipeline.faces.find(face.track) is None

    play(test)


@pytest.mark.parametrize("privacy", ["pixelate", "no_picture"])
def test_a_face_that_is_hidden_is_not_kept(play, photo, privacy):
    async def test(stage: Stage) -> None:
        stage.pipeline.set_controls(Controls(privacy=privacy))
        with stage.pipeline.results.subscribe() as results:
            stage.camera.show(photo)
            (face,) = (await anext(results)).faces
            stage.pipeline.set_controls(Controls())
            assert stage.pipeline.faces.find(face.track) is None

    play(test)


def test_a_snapshot_is_an_image_captured_after_it_was_asked_for(play, photo):
    async def test(stage: Stage) -> None:
        with stage.pipeline.images.subscribe() as viewer:
            stage.camera.show(photo)
            await next_analysis(viewer)
        snapshot = asyncio.create_task(stage.pipeline.snapshot())
        await until(lambda: stage.camera.watched is True)
        stage.camera.show(photo, age_s=0.05 + time.monotonic() - stage_began(stage))
        await until(lambda: stage.figure("fer_frames_analyzed_total", camera="desk") == 2)
        assert not snapshot.done()
        fresh = stage.camera.show(photo)
        assert (await snapshot).number == fresh
        assert stage.pipeline.images.viewers == 0

    def stage_began(stage: Stage) -> float:
        assert stage.pipeline.latest is not None
        return stage.pipeline.latest.captured_s

    play(test, lossless=True)  # so that the old frame is not dropped


def test_a_snapshot_of_a_camera_without_images_shows_its_state(play):
    async def test(stage: Stage) -> None:
        stage.camera.become("missing", "no such device")
        part = await stage.pipeline.snapshot()
        assert part.analysis is None
        assert size_of(part) == (480, 640, 3)

    play(test)


def test_every_frame_of_an_unpaced_video_comes_out_in_order(play, photo):
    async def test(stage: Stage) -> None:
        with stage.pipeline.results.subscribe() as results:
            seen: list[int] = []

            async def watch() -> None:
                async for analysis in results:
                    seen.append(analysis.number)

            watching = asyncio.create_task(watch())
            numbers = []
            for k in range(24):
                small = photo[: 200 + 11 * k]  # some take longer than others
                numbers.append(stage.camera.show(small, age_s=3.0))
                await until(lambda: stage.camera.slot._frame is None)
            await until(
                lambda: stage.figure("fer_frames_analyzed_total", camera="desk") == len(numbers)
            )
            await asyncio.sleep(0)
            watching.cancel()
        assert seen == sorted(seen)
        assert seen[-1] == numbers[-1]
        assert stage.camera.state.drops == 0
        assert stage.figure("fer_frames_dropped_total", camera="desk", reason="late") == 0

    play(test, lossless=True)


def test_late_frames_are_dropped_and_counted_but_a_slow_machine_still_shows_some(play, photo):
    async def test(stage: Stage) -> None:
        with stage.pipeline.images.subscribe(replay=False) as viewer:
            stage.camera.show(photo)
            await next_analysis(viewer)
            stage.camera.declare_fps(30.0)
            stage.camera.show(photo, age_s=30.0)
            await until(
                lambda: stage.figure("fer_frames_dropped_total", camera="desk", reason="late") == 1
            )
            # Frames that are always 0.3 s old get through at a rate that makes them timely.
            for _ in range(200):
                stage.camera.show(photo, age_s=0.3)
                await asyncio.sleep(0.02)
                if stage.figure("fer_frames_analyzed_total", camera="desk") >= 3:
                    return
            raise AssertionError("no frame got through")

    play(test)


def test_a_frame_that_had_to_wait_for_a_detector_gives_way_to_the_newest(play, photo):
    async def test(stage: Stage) -> None:
        for _ in range(stage.pool.threads):
            await stage.pool.place()
        stage.camera.show(photo)
        await until(lambda: stage.camera.slot._frame is None)
        stage.camera.show(photo)
        newest = stage.camera.show(photo)
        small = np.zeros((64, 64, 3), np.uint8)
        for _ in range(stage.pool.threads):
            await stage.pool.find(small)
        await until(lambda: stage.pipeline.latest is not None)
        assert stage.pipeline.latest is not None
        assert stage.pipeline.latest.number == newest
        assert stage.camera.state.drops == 2

    play(test)


def test_a_frame_that_can_not_be_analysed_costs_nothing_but_itself(play, photo, caplog):
    async def test(stage: Stage) -> None:
        with stage.pipeline.images.subscribe() as viewer:
            stage.camera.show(np.zeros((0, 10, 3), np.uint8))
            await until(
                lambda: stage.figure("fer_frames_dropped_total", camera="desk", reason="error") == 1
            )
            number = stage.camera.show(photo)
            assert (await next_analysis(viewer))[0].number == number

    play(test)
    assert "camera desk: a frame failed" in caplog.text


def test_a_frame_that_fails_does_not_let_the_next_overtake_the_one_before(play, photo, monkeypatch):
    async def test(stage: Stage) -> None:
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
            await until(
                lambda: stage.figure("fer_frames_dropped_total", camera="desk", reason="error") == 1
            )
            third = stage.camera.show(photo)
            await until(lambda: drawn == [third])
            assert published == []
            gate.set()
            await until(lambda: published == [1, third])

    play(test)


def test_the_cameras_state_is_told_on_the_image_until_frames_come_back(play, photo):
    async def test(stage: Stage) -> None:
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

    play(test)


def test_who_comes_to_a_broken_camera_is_told_at_once_and_not_shown_an_old_image(play, photo):
    async def test(stage: Stage) -> None:
        with stage.pipeline.images.subscribe() as viewer:
            stage.camera.show(photo)
            await next_analysis(viewer)
        assert stage.pipeline.images.latest is None
        stage.camera.become("forbidden", "no permission")
        with stage.pipeline.images.subscribe() as viewer:
            assert (await asyncio.wait_for(anext(viewer), 5)).analysis is None

    play(test)


def test_privacy_acts_on_the_very_next_image_and_forgets_the_ones_before(play, photo):
    async def test(stage: Stage) -> None:
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

    play(test)


def test_an_image_under_way_when_privacy_changes_is_not_shown(play, photo, monkeypatch):
    async def test(stage: Stage) -> None:
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
            assert stage.figure("fer_frames_encoded_total", camera="desk") == 1
            assert pipeline.images.latest is None
            stage.camera.show(photo)
            await anext(results)
            assert pipeline.images.latest is not None

    play(test)


def test_a_notice_under_way_when_privacy_changes_shows_nothing_of_before(play, photo, monkeypatch):
    async def test(stage: Stage) -> None:
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

    play(test)


def test_a_cancelled_pipeline_waits_for_no_frame_under_way(play, photo, monkeypatch):
    async def test(stage: Stage) -> None:
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

    play(test)


def test_a_paused_camera_stands_still_and_says_so(play, photo):
    async def test(stage: Stage) -> None:
        pipeline = stage.pipeline
        with pipeline.images.subscribe() as viewer:
            stage.camera.show(photo)
            await next_analysis(viewer)
            pipeline.set_controls(dataclasses.replace(pipeline.controls, paused=True))
            assert stage.camera.paused
            assert (await anext(viewer)).analysis is None
            stage.camera.show(photo)  # one that was on its way
            await until(lambda: stage.camera.slot._frame is None)
            pipeline.set_controls(dataclasses.replace(pipeline.controls, paused=False))
            number = stage.camera.show(photo)
            assert (await next_analysis(viewer))[0].number == number

    play(test)


def test_a_threshold_and_no_smoothing_apply_from_the_next_frame(play, photo):
    async def test(stage: Stage) -> None:
        pipeline = stage.pipeline
        with pipeline.results.subscribe() as results:
            for threshold, uncertain in ((0.0, False), (1.0, True)):
                pipeline.set_controls(Controls(threshold=threshold, smoothing_s=0))
                stage.camera.show(photo)
                (face,) = (await anext(results)).faces
                assert face.uncertain is uncertain
                np.testing.assert_array_equal(face.raw, face.probabilities)

    play(test)


def test_closing_ends_the_streams_with_frames_under_way(play, photo):
    async def test(stage: Stage) -> None:
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

    play(test)
