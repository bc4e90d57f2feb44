"""Processes a camera's frames: detect, batch, track, annotate, encode, broadcast; one per camera.

Two frames are in flight at a time, so that detection on one overlaps prediction and drawing of the one
before; they are labelled and published in order. Late frames are dropped: see `analyser`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import math
import time
from collections.abc import Mapping, Sequence

import numpy as np

from server.cameras.camera import Camera
from server.cameras.frames import Frame
from server.live.analyser import Analyser
from server.live.analysis import Analysis
from server.live.batcher import Batcher, BatcherClosed, DeadlinePassed
from server.live.broadcast import Broadcast, Kind, Part
from server.live.controls import Controls, Privacy
from server.live.detection_threads import DetectionThreads
from server.live.image_streams import ImageStreams
from server.live.last_faces import LastFaces
from server.live.marker import Marked, Marker
from server.live.metrics import Metrics
from server.live.notices import Notices, notice_text
from server.live.recording import Recorder
from server.live.recording_space import Space
from server.settings import Settings

__all__ = ["CameraPipeline", "Controls", "Privacy"]

SNAPSHOT_S = 2.0  # how long to wait for a fresh image

_LIVE_DEPTH = 2
_VIDEO_DEPTH = 8  # latency does not matter for an unpaced video, so batches may be larger
_VIDEO_IMAGE_S = 1 / 30  # an unpaced video is faster than the eye; drawing more is wasted time
_LOG_EVERY_S = 10.0

_log = logging.getLogger(__name__)


class _Progress:
    """A frame's progress, which the next frame waits for."""

    def __init__(self) -> None:
        self.labelled, self.done = asyncio.Event(), asyncio.Event()

    def end(self, task: asyncio.Task[None]) -> None:
        """Marks the frame's task as ended, whatever its outcome."""
        del task
        self.labelled.set()
        self.done.set()


class CameraPipeline:
    """Turns one camera's frames into images and results.

    Attributes:
        camera: the camera.
        streams: encoded frames of each kind; a kind is drawn and encoded only while it has viewers.
        images: the stream of the annotated kind.
        results: the analysis of each frame.
        latest: the newest result, None before the first.
        faces: those of the newest result, while privacy allows them to be seen.
        recorder: writes it to disk while the controls ask for it.
    """

    def __init__(
        self,
        camera: Camera,
        *,
        threads: DetectionThreads,
        batcher: Batcher,
        metrics: Metrics,
        settings: Settings,
        uncertain_below: float,
        space: Space | None = None,
    ) -> None:
        """Create it inside the running event loop; nothing happens before `run`.

        Args:
            camera: the source of frames; started and closed by the caller.
            threads: threads for OpenCV's work, shared by the cameras.
            batcher: shared by all cameras.
            metrics: where events are counted.
            settings: the server's.
            uncertain_below: the checkpoint's (`Predictor.uncertain_below`).
            space: for recordings, shared by all cameras; None for a separate one.
        """
        self.camera = camera
        self._shown = ImageStreams(on_viewers=self._viewers_changed)
        self.streams: Mapping[Kind, Broadcast[Part]] = self._shown.by_kind
        self.images = self.streams["annotated"]
        self.results: Broadcast[Analysis] = Broadcast(on_viewers=self._viewers_changed)
        self.latest: Analysis | None = None
        self.faces = LastFaces()
        self._pool, self._metrics = threads, metrics
        self._analyser = Analyser(camera, threads=threads, batcher=batcher)
        self._controls = Controls.at_start(camera.source, settings)
        self.recorder = Recorder(
            camera.name, space=space or Space.of(settings), on_failure=self._recording_failed
        )
        self._marker = Marker(
            camera.name, jpeg_quality=settings.jpeg_quality, uncertain_below=uncertain_below
        )
        self._notices = Notices(
            camera, self.streams, threads=threads, settings=settings, behind=self._shown.last
        )
        self._room = asyncio.Semaphore(_VIDEO_DEPTH if camera.lossless else _LIVE_DEPTH)
        self._imaged_s = self._logged_s = -math.inf
        self._ending, self._ended = asyncio.Event(), asyncio.Event()
        self._ended.set()
        metrics.watch_camera(camera.name, lambda: camera.state)
        metrics.watch_viewers(camera.name, "images", lambda: self.viewers)
        metrics.watch_viewers(camera.name, "results", lambda: self.results.viewers)

    @property
    def viewers(self) -> int:
        """The number of viewers of its images, of any kind."""
        return self._shown.viewers

    @property
    def controls(self) -> Controls:
        """The current controls."""
        return self._controls

    def set_controls(self, controls: Controls) -> None:
        """Replaces the controls; once this returns, no image with the old privacy is sent."""
        before, self._controls = self._controls, controls
        if controls.privacy != before.privacy:
            self._shown.forget()
            self.faces.forget()
            self._marker.forget()
        if controls.paused != before.paused:
            self.camera.set_paused(controls.paused)
        if controls.recording != before.recording:
            self._record(controls.recording)
        self._notices.check()

    async def run(self) -> None:
        """Runs until it is cancelled or `close` is called."""
        self._ended.clear()
        self._record(self._controls.recording)
        try:
            async with asyncio.TaskGroup() as group:
                workers = (
                    group.create_task(self._take_frames(group)),
                    group.create_task(self._notices.run()),
                )
                await self._ending.wait()
                for worker in workers:
                    worker.cancel()
        finally:
            self._ended.set()

    async def close(self) -> None:
        """Ends `run` and every viewer's stream within the time of one frame."""
        self._ending.set()
        self._shown.close()
        self.results.close()
        await self._ended.wait()
        await self.recorder.close()

    async def snapshot(self) -> Part:
        """Returns an image captured after this call, even without viewers.

        Without one within `SNAPSHOT_S`, it shows the camera's state, and `Part.analysis` is None.
        """
        asked_s = time.monotonic()
        with self.images.subscribe(replay=False) as viewer:
            try:
                async with asyncio.timeout(SNAPSHOT_S):
                    async for part in viewer:
                        if part.analysis is None or part.captured_s >= asked_s:
                            return part
            except TimeoutError:
                pass  # the image says so
        return await self._notices.part(
            notice_text(self.camera.state) or "no image came", kind="annotated"
        )

    def _record(self, on: bool) -> None:
        self.recorder.switch(on, fps=1 / self.camera.interval_s)
        self._viewers_changed(0)

    def _recording_failed(self) -> None:
        self._controls = dataclasses.replace(self._controls, recording=False)
        self._viewers_changed(0)

    def _viewers_changed(self, count: int) -> None:
        del count
        self._shown.forget_unwatched()
        watched = self.viewers + self.results.viewers > 0
        if not watched:
            self.faces.forget()
        self.camera.set_demand(watched or self.recorder.active)
        self._notices.check()

    async def _take_frames(self, group: asyncio.TaskGroup) -> None:
        before = _Progress()
        before.labelled.set()
        before.done.set()
        while True:
            await self._room.acquire()
            frame = await self.camera.slot.get()
            if self._controls.paused:
                self._room.release()
                continue
            await self._pool.place()
            if not self.camera.lossless:
                frame = self.camera.slot.newer(frame)
            progress = _Progress()
            group.create_task(self._process(frame, progress, before)).add_done_callback(
                progress.end
            )
            before = progress

    async def _process(self, frame: Frame, progress: _Progress, before: _Progress) -> None:
        """Processes one frame completely; a failure costs only this frame."""
        try:
            await self._carry(frame, progress, before)
        except BatcherClosed:
            return
        except DeadlinePassed:
            self._metrics.frame_dropped(self.camera.name, "late")
        except Exception:  # noqa: BLE001 - logged and counted
            self._metrics.frame_dropped(self.camera.name, "error")
            now = time.monotonic()
            if now - self._logged_s >= _LOG_EVERY_S:
                self._logged_s = now
                _log.exception("camera %s: a frame failed", self.camera.name)
        finally:
            self._room.release()
            await before.labelled.wait()  # the next frame only waits for this one
            progress.labelled.set()
            await before.done.wait()

    async def _carry(self, frame: Frame, progress: _Progress, before: _Progress) -> None:
        image, found, answer = await self._analyser.analyse(frame, self._controls)
        frame = dataclasses.replace(frame, image=image)
        answered_s = time.monotonic()
        await before.labelled.wait()
        controls = self._controls
        analysis, lost = self._marker.label(
            frame, found, answer, controls=controls, since_s=answered_s
        )
        progress.labelled.set()
        marked = Marked(analysis=analysis)
        kinds, record = self._claim_images()
        if kinds or record:
            marked = await self._pool.run_aside(
                self._marker.draw,
                frame,
                analysis,
                kinds=kinds,
                lost=lost,
                controls=controls,
                since_s=answered_s,
                record=record,
            )
        await before.done.wait()
        self._publish(marked, found.crops, controls)

    def _claim_images(self) -> tuple[tuple[Kind, ...], bool]:
        """Returns the kinds to draw for this frame, and whether to draw it for a recording.

        A video then skips drawing for a while.
        """
        now_s, pause_s = time.monotonic(), _VIDEO_IMAGE_S if self.camera.lossless else 0.0
        wanted = self.viewers or self.recorder.active
        if not wanted or now_s - self._imaged_s < pause_s:
            return (), False
        self._imaged_s = now_s
        return self._shown.watched(), self.recorder.active

    def _publish(self, marked: Marked, crops: Sequence[np.ndarray], controls: Controls) -> None:
        analysis = marked.analysis
        now_s = time.monotonic()
        self._analyser.frame_done(now_s)
        self.latest = analysis
        self._metrics.frame_analyzed(analysis)
        self.results.publish(analysis)
        for _ in range(marked.encoded):
            self._metrics.frame_encoded(self.camera.name)
        new = self._controls
        if new.privacy == controls.privacy == "none":
            self.faces.replace(analysis.faces, crops)
        if not new.paused:
            image = marked.recorded if new.privacy == controls.privacy else None
            threshold = self._marker.uncertain_below(controls)
            self.recorder.add(analysis, image, uncertain_below=threshold)
        if not new.paused and new.privacy == controls.privacy:
            self._shown.publish(marked, published_s=now_s)
