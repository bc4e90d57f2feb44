"""The interface of all cameras: a slot with the newest frame, a state, and a way to wait for changes.

Subclasses feed it: `CapturedCamera` from its own process, `BrowserCamera` from a WebSocket.
"""

from __future__ import annotations

import abc
import asyncio
import collections
import dataclasses
import logging
import threading
import time
from collections.abc import Callable
from typing import Literal

import numpy as np

from server.cameras.frames import Frame, FrameSlot
from server.settings import Source

Status = Literal[
    "starting", "live", "stalled", "reconnecting", "missing", "busy", "forbidden", "ended", "paused"
]

_log = logging.getLogger(__name__)

_RATE_WINDOW_S = 2.5  # of the measured frame rate: short enough to follow, long enough at 1 fps
_USUAL_FPS = 30.0  # until the source has reported its own


@dataclasses.dataclass(frozen=True, kw_only=True)
class CameraState:
    """The state of a camera at the time of the call.

    Attributes:
        status: "live" has images; "stalled" has had none for a moment; "reconnecting", "missing",
            "busy" and "forbidden" are retried in `retry_in_s`; "paused" was requested; "ended" is
            final. A browser's camera is "missing" until a visitor sends images.
        reason: one line for people, no credentials in it; empty while live.
        retry_in_s: seconds until the next attempt; None if there is nothing to retry.
        width, height: of the newest frame, in pixels; 0 before the first.
        fps: recent frames per second; 0 without frames.
        frames: how many arrived in total; the newest one's number.
        drops: how many of them were replaced by a newer one before the pipeline took them.
        reconnects: number of attempts to reopen the source.
    """

    status: Status = "starting"
    reason: str = ""
    retry_in_s: float | None = None
    width: int = 0
    height: int = 0
    fps: float = 0.0
    frames: int = 0
    drops: int = 0
    reconnects: int = 0


class Camera(abc.ABC):
    """One camera. Create it inside the running loop, which all its methods belong to.

    Attributes:
        name: as in every URL.
        source: the source of its images.
        slot: its newest frame; one task takes frames out with `await slot.get()`.
        lossless: every frame waits in the slot until it is taken, none is replaced (an unpaced video);
            the consumer must not drop late ones.
        version: increases with every change that `wait_changed` reports.
    """

    def __init__(self, source: Source, *, slot: FrameSlot | None = None) -> None:
        self.name = source.name
        self.source = source
        self.lossless = False
        self.version = 0
        self.slot = FrameSlot(self._count_drop) if slot is None else slot
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._retry_at: float | None = None
        self._status: Status = "starting"
        self._reason = ""
        self._reconnects = 0
        self._source_fps = _USUAL_FPS
        self._lock = threading.Lock()  # guards the reading thread's counters below
        self._times: collections.deque[float] = collections.deque()
        self._size = 0, 0
        self._frames = 0
        self._drops = 0

    @property
    def state(self) -> CameraState:
        """The current state of the camera."""
        now = time.monotonic()
        with self._lock:
            while self._times and self._times[0] < now - _RATE_WINDOW_S:
                self._times.popleft()
            spans = len(self._times) - 1
            flowing = spans > 0 and self._status == "live"
            fps = spans / (self._times[-1] - self._times[0]) if flowing else 0.0
            (width, height), frames, drops = self._size, self._frames, self._drops
        retry_in_s = None if self._retry_at is None else max(0.0, self._retry_at - now)
        return CameraState(
            status=self._status,
            reason=self._reason,
            retry_in_s=retry_in_s,
            width=width,
            height=height,
            fps=fps,
            frames=frames,
            drops=drops,
            reconnects=self._reconnects,
        )

    @property
    def interval_s(self) -> float:
        """Seconds between two frames while watched, as the source declares it."""
        return 1.0 / self._source_fps

    async def wait_changed(self, version: int) -> int:
        """Waits until the camera's version differs from `version`, and returns it.

        Status, reason, size and reconnects count as changes; single frames do not.
        """
        while self.version == version:
            await self._changed.wait()
        return self.version

    @abc.abstractmethod
    async def start(self) -> None:
        """Starts to open the source; returns at once."""

    @abc.abstractmethod
    async def close(self) -> None:
        """Ends the camera and frees its resources within about three seconds; may be called twice."""

    def set_demand(self, watched: bool) -> None:  # noqa: B027 - some sources have one rate only
        """Requests the full frame rate while the camera has viewers, otherwise one frame per second."""

    def set_paused(self, paused: bool) -> None:  # noqa: B027 - some sources cannot be paused
        """Stops and resumes the frames; the source stays open."""

    def _accept(
        self, image: np.ndarray, *, captured_s: float, wall_s: float, received_s: float
    ) -> Frame:
        """Counts an image and makes it the next frame; from any thread, but one at a time."""
        image.setflags(write=False)
        size = image.shape[1], image.shape[0]
        with self._lock:
            self._frames += 1
            self._times.append(received_s)
            number, resized, self._size = self._frames, size != self._size, size
        if resized:
            self._tell_loop(self._announce)
        return Frame(
            number=number,
            image=image,
            captured_s=captured_s,
            wall_s=wall_s,
            read_s=max(0.0, received_s - captured_s),
        )

    def _count_drop(self) -> None:
        with self._lock:
            self._drops += 1

    def _set(self, status: Status, reason: str = "", *, retry_in_s: float | None = None) -> None:
        """Changes the status and wakes those waiting for it; on the loop."""
        self._retry_at = None if retry_in_s is None else time.monotonic() + retry_in_s
        if (status, reason) == (self._status, self._reason) and retry_in_s is None:
            return
        self._status, self._reason = status, reason
        _log.info("camera %s: %s", self.name, f"{status}: {reason}" if reason else status)
        self._announce()

    def _announce(self) -> None:
        self.version += 1
        self._changed.set()
        self._changed = asyncio.Event()

    def _tell_loop(self, call: Callable[[], None]) -> None:
        """Schedules a call on the loop; from any thread, even after the loop has closed."""
        try:
            self._loop.call_soon_threadsafe(call)
        except RuntimeError:
            return  # the loop is closed
