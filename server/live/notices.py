"""Shows viewers the state of a camera that gives no images: missing, stalled, paused.

The notice is an image like any other, so that every client that can show the stream shows it too.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping

import numpy as np

from fer_jax.media import encoding
from server.cameras.camera import Camera, CameraState
from server.live import rendering
from server.live.broadcast import Broadcast, Kind, Part
from server.live.detection_threads import DetectionThreads
from server.settings import Settings

_COUNTDOWN_S = 1.0
# In these states the last image stays behind the notice.
_KEEPS_IMAGE = frozenset({"stalled", "reconnecting", "paused"})


class Notices:
    """Publishes a camera's state as an image while it has viewers but gives no images."""

    def __init__(
        self,
        camera: Camera,
        streams: Mapping[Kind, Broadcast[Part]],
        *,
        threads: DetectionThreads,
        settings: Settings,
        behind: Callable[[Kind], np.ndarray | None],
    ) -> None:
        """Create it inside the running event loop.

        Args:
            camera: the camera whose state is shown.
            streams: where to publish.
            threads: where notices are drawn.
            settings: size for a camera without an image so far, JPEG quality.
            behind: returns the last image of a kind, uint8 [H, W, 3], if viewers may still see it.
        """
        self._camera, self._streams = camera, streams
        self._pool, self._settings, self._behind = threads, settings, behind
        self._due = asyncio.Event()
        self._shown: dict[Kind, str] = {}

    def check(self) -> None:
        """Signals that a notice may be due: a new viewer, a changed control."""
        self._due.set()

    async def run(self) -> None:
        """Publishes notices until cancelled."""
        watch = asyncio.create_task(self._watch_camera())
        try:
            while True:
                self._due.clear()
                text = notice_text(self._camera.state)
                watched: list[Kind] = [
                    kind for kind, stream in self._streams.items() if stream.viewers
                ]
                showing = text is not None and bool(watched)
                if text is not None:
                    for kind in watched:
                        await self._show(text, kind)
                try:
                    async with asyncio.timeout(_COUNTDOWN_S if showing else None):
                        await self._due.wait()
                except TimeoutError:
                    continue  # the countdown continues
        finally:
            watch.cancel()

    async def part(self, text: str, *, kind: Kind) -> Part:
        """Returns a notice as a part of a kind's stream, over the last image if that may be seen."""
        while True:
            state = self._camera.state
            behind = self._behind(kind) if state.status in _KEEPS_IMAGE else None
            part = await self._pool.run_aside(self._render, state, text, behind)
            if behind is None or self._behind(kind) is behind:
                return part

    async def _show(self, text: str, kind: Kind) -> None:
        """Publishes a notice if it is new; a paused plain image stays unchanged."""
        kept = kind == "plain" and self._behind(kind) is not None
        if (kept and self._camera.state.status == "paused") or not self._is_news(text, kind):
            return
        part = await self.part(text, kind=kind)
        if notice_text(self._camera.state) is not None:
            self._shown[kind] = text
            self._streams[kind].publish(part)

    def _render(self, state: CameraState, text: str, behind: np.ndarray | None) -> Part:
        if behind is not None and state.status == "paused":
            canvas = rendering.badge(behind, text)
        else:
            canvas = rendering.notice(
                self._camera.name,
                text,
                width=state.width or self._settings.width,
                height=state.height or self._settings.height,
                behind=behind,
            )
        now_s = time.monotonic()
        return Part(
            jpeg=encoding.jpeg(canvas, quality=self._settings.jpeg_quality),
            number=state.frames,
            captured_s=now_s,
            wall_s=time.time(),
            published_s=now_s,
            stages={},
            analysis=None,
        )

    def _is_news(self, text: str, kind: Kind) -> bool:
        latest = self._streams[kind].latest
        return text != self._shown.get(kind) or latest is None or latest.analysis is not None

    async def _watch_camera(self) -> None:
        version = self._camera.version
        while True:
            version = await self._camera.wait_changed(version)
            self._due.set()


def notice_text(state: CameraState) -> str | None:
    """Returns the one-line notice for a camera in this state; None while it has images."""
    if state.status == "live":
        return None
    text = state.reason or state.status
    if state.retry_in_s is None:
        return text
    return f"{text} - trying again in {math.ceil(state.retry_in_s)} s"
