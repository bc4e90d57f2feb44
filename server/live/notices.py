"""Tells viewers what their camera is doing while it gives no images: missing, stalled, paused.

The notice is an image like any other, so that every client that can show the stream shows it too.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable

import numpy as np

from fer_jax.media import encoding
from server.cameras.camera import Camera, CameraState
from server.live import rendering
from server.live.broadcast import Broadcast, Part
from server.live.detection_threads import DetectionThreads
from server.settings import Settings

_COUNTDOWN_S = 1.0
# While it is in one of these, the last image stays behind the notice.
_KEEPS_IMAGE = frozenset({"stalled", "reconnecting", "paused"})


class Notices:
    """Publishes a camera's state among its images, while somebody watches and there is none."""

    def __init__(
        self,
        camera: Camera,
        images: Broadcast[Part],
        *,
        threads: DetectionThreads,
        settings: Settings,
        behind: Callable[[], np.ndarray | None],
    ) -> None:
        """Create it inside the running event loop.

        Args:
            camera: whose state is told.
            images: where to publish.
            threads: draws.
            settings: size of a camera that had no image yet, JPEG quality.
            behind: returns the last image that viewers saw, uint8 [H, W, 3], if they still may.
        """
        self._camera, self._images = camera, images
        self._pool, self._settings, self._behind = threads, settings, behind
        self._look = asyncio.Event()
        self._shown = ""

    def look(self) -> None:
        """Says that there may be reason for a notice: somebody came, a control was changed."""
        self._look.set()

    async def run(self) -> None:
        """Publishes notices until cancelled."""
        watch = asyncio.create_task(self._watch_camera())
        try:
            while True:
                self._look.clear()
                text = notice_text(self._camera.state)
                showing = text is not None and self._images.viewers > 0
                if text is not None and showing and self._is_news(text):
                    part = await self.part(text)
                    if notice_text(self._camera.state) is not None:
                        self._shown = text
                        self._images.publish(part)
                try:
                    async with asyncio.timeout(_COUNTDOWN_S if showing else None):
                        await self._look.wait()
                except TimeoutError:
                    continue  # the countdown goes on
        finally:
            watch.cancel()

    async def part(self, text: str) -> Part:
        """Returns a notice as a part of the stream; what is behind it may still be seen."""
        while True:
            state = self._camera.state
            behind = self._behind() if state.status in _KEEPS_IMAGE else None
            part = await self._pool.run_aside(self._render, state, text, behind)
            if behind is None or self._behind() is behind:
                return part

    def _render(self, state: CameraState, text: str, behind: np.ndarray | None) -> Part:
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

    def _is_news(self, text: str) -> bool:
        latest = self._images.latest
        return text != self._shown or latest is None or latest.analysis is not None

    async def _watch_camera(self) -> None:
        version = self._camera.version
        while True:
            version = await self._camera.wait_changed(version)
            self._look.set()


def notice_text(state: CameraState) -> str | None:
    """Returns what to say of a camera in this state, in one line; None while it has images."""
    if state.status == "live":
        return None
    text = state.reason or state.status
    if state.retry_in_s is None:
        return text
    return f"{text} - trying again in {math.ceil(state.retry_in_s)} s"
