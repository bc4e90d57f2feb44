"""A camera's pipeline with its dependencies, and a camera that gets its frames from the test."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import cv2
import numpy as np

from fer_jax import Predictor
from server.cameras.camera import Camera, Status
from server.live.analysis import Analysis
from server.live.batcher import Batcher
from server.live.broadcast import Part, Viewer
from server.live.camera_pipeline import CameraPipeline
from server.live.detection_threads import DetectionThreads
from server.live.metrics import Metrics
from server.settings import Settings, Source

SOURCE = Source(name="desk", kind="demo", where="demo", masked="demo")


class HandCamera(Camera):
    """Gets its frames and states from the test."""

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
        return self.repeat(image.copy(), age_s=age_s)

    def repeat(self, image: np.ndarray, *, age_s: float = 0.0) -> int:
        """The same with identical pixels."""
        now = time.monotonic()
        frame = self._accept(
            image, captured_s=now - age_s, wall_s=time.time() - age_s, received_s=now - age_s
        )
        self.slot.put(frame)
        return frame.number


@dataclasses.dataclass
class Stage:
    """A running pipeline and its surroundings."""

    camera: HandCamera
    pipeline: CameraPipeline
    pool: DetectionThreads
    metrics: Metrics
    running: asyncio.Task[None]

    def figure(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0

    def analyzed(self) -> int:
        return int(self.figure("fer_frames_analyzed_total", camera="desk"))

    def encoded(self) -> int:
        return int(self.figure("fer_frames_encoded_total", camera="desk"))

    def dropped(self, reason: str) -> int:
        return int(self.figure("fer_frames_dropped_total", camera="desk", reason=reason))


@contextlib.asynccontextmanager
async def staged(
    predictor: Predictor, *, lossless: bool = False, **settings: Any
) -> AsyncIterator[Stage]:
    """Runs a pipeline until the end of the block; `lossless` makes its camera an unpaced video."""
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
        settings=Settings(sources=(SOURCE,), **settings),
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


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - a counter has no event to wait for
        await asyncio.sleep(0.002)


async def next_analysis(viewer: Viewer[Part]) -> tuple[Part, Analysis]:
    """The next part that holds a frame."""
    async for part in viewer:
        if part.analysis is not None:
            return part, part.analysis
    raise AssertionError("the stream has ended")


def size_of(part: Part) -> tuple[int, ...]:
    image = cv2.imdecode(np.frombuffer(part.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image.shape
