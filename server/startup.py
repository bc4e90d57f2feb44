"""The live parts behind the HTTP server, in the order in which they start; they stop in reverse.

Cameras come first, because they open slowly, then the network and its batcher, the threads for
OpenCV, and a pipeline for each camera.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import threading
from collections.abc import AsyncIterator

from aiohttp import web

from fer_jax.faces.detect import DETECT_SIZE
from fer_jax.inference.predictor import Predictor
from server.access.keys import LOAD_SHEDDING, SESSIONS, SETTINGS, SOCKETS
from server.access.load_shedding import LoadShedding
from server.cameras.opening import open_cameras
from server.live.batcher import Batcher
from server.live.broadcast import KINDS, Kind
from server.live.camera_pipeline import CameraPipeline
from server.live.detection_threads import DetectionThreads
from server.live.explainer import Explainer
from server.live.kept_privacy import KeptPrivacy
from server.live.keys import (
    BATCHER,
    CAMERAS,
    DETECTION_THREADS,
    EXPLAINER,
    KEPT_PRIVACY,
    LIFECYCLE,
    METRICS,
    PARTS,
    PIPELINES,
    PREDICTOR,
    UPLOAD_THREADS,
)
from server.live.lifecycle import Lifecycle
from server.live.multipart import PartBytes
from server.live.recording_space import Space

MAX_BATCH = 32
_UNDER_WAY = 2  # batches: the device computes one while the other is transferred
_UPLOAD_THREADS = 1  # more would not finish more on few cores, and cameras come first
_UPLOAD_NICENESS = 10
_PACE = 0.6  # of the deadline: an estimate errs, and the batcher needs its share

_LOG = logging.getLogger(__name__)


async def cameras(app: web.Application) -> AsyncIterator[None]:
    """Opens the cameras, which start to capture."""
    opened = await open_cameras(app[SETTINGS])
    app[CAMERAS] = {camera.name: camera for camera in opened}
    try:
        yield
    finally:
        await asyncio.gather(*(camera.close() for camera in opened))


async def network(app: web.Application) -> AsyncIterator[None]:
    """Reads the checkpoint, compiles the smallest batch and continues with the others."""
    settings, metrics = app[SETTINGS], app[METRICS]
    predictor = await asyncio.to_thread(Predictor.load, settings.checkpoint, max_batch=MAX_BATCH)
    _watch_compilation(predictor, app[LIFECYCLE])
    batcher = Batcher(
        lambda crops: predictor(crops).probabilities,
        max_batch=MAX_BATCH,
        max_queued=settings.limits.queued_crops,
        under_way=_UNDER_WAY,
        on_batch=metrics.batch_done,
    )
    metrics.watch_device(
        queued=lambda: batcher.queued,
        recompiles=lambda: predictor.recompiles,
        padding=lambda: predictor.padding,
    )
    app[PREDICTOR], app[BATCHER] = predictor, batcher
    app[EXPLAINER] = Explainer(predictor.saved)
    try:
        yield
    finally:
        await batcher.close()


async def detectors(app: web.Application) -> AsyncIterator[None]:
    """Starts the threads for image work, those for cameras and those for uploads."""
    app[DETECTION_THREADS] = live = DetectionThreads(detect_size=app[SETTINGS].detect_size)
    app[UPLOAD_THREADS] = uploads = DetectionThreads(
        detect_size=DETECT_SIZE,
        threads=_UPLOAD_THREADS,
        niceness=_UPLOAD_NICENESS,
        decodes=app[SETTINGS].limits.image_pixels,
    )
    app[LOAD_SHEDDING] = LoadShedding(
        most_s=_PACE * app[SETTINGS].limits.request_deadline_s, threads=_UPLOAD_THREADS
    )
    try:
        await asyncio.gather(live.warm_up(), uploads.warm_up())
        yield
    finally:
        await asyncio.gather(live.close(), uploads.close())


async def pipelines(app: web.Application) -> AsyncIterator[None]:
    """Starts every camera's pipeline."""
    settings = app[SETTINGS]
    space = Space.of(settings)
    app[KEPT_PRIVACY] = kept = KeptPrivacy(settings.kept)
    privacy = {
        name: await kept.at_start(camera.source, least=settings.privacy)
        for name, camera in app[CAMERAS].items()
    }
    app[PIPELINES] = made = {
        name: CameraPipeline(
            camera,
            threads=app[DETECTION_THREADS],
            batcher=app[BATCHER],
            metrics=app[METRICS],
            settings=dataclasses.replace(settings, privacy=privacy[name]),
            uncertain_below=app[PREDICTOR].uncertain_below,
            space=space,
        )
        for name, camera in app[CAMERAS].items()
    }
    parts: dict[tuple[str, Kind, bool], PartBytes] = {
        (name, kind, timing): PartBytes(kind=kind, timing=timing)
        for name in made
        for kind in KINDS
        for timing in (False, True)
    }
    app[PARTS] = parts
    work = {f"pipeline {name}": pipeline.run() for name, pipeline in made.items()}
    work["loop lag"] = app[METRICS].watch_loop()
    work["sessions"] = app[SESSIONS].run()
    work["stuck sockets"] = app[SOCKETS].run()
    tasks = [asyncio.create_task(one, name=name) for name, one in work.items()]
    for task in tasks:
        task.add_done_callback(_log_failure)
    try:
        yield
    finally:
        await close_pipelines(app)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


LIVE_PARTS = (cameras, network, detectors, pipelines)


async def close_pipelines(app: web.Application) -> None:
    """Ends every viewer's stream; may be called twice."""
    await asyncio.gather(*(pipeline.close() for pipeline in app[PIPELINES].values()))


def _watch_compilation(predictor: Predictor, lifecycle: Lifecycle) -> None:
    """Sets `compiled` once compilation has ended, from a thread that closing does not wait for."""
    loop = asyncio.get_running_loop()

    def wait() -> None:
        try:
            predictor.wait()
        except Exception as error:  # noqa: BLE001 - reported by /readyz
            _LOG.exception("the network cannot be compiled")
            lifecycle.failure = error
            return
        with contextlib.suppress(RuntimeError):  # the loop is closed: the server has ended
            loop.call_soon_threadsafe(lifecycle.compiled.set)

    # Not a daemon: that one could end within the interpreter's last steps and free the network there,
    # which aborts a process that ends by them, as tests do.
    threading.Thread(target=wait, name="wait for compilation").start()


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _LOG.error("%s ended", task.get_name(), exc_info=error)
