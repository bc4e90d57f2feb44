"""A camera's frame, and the slot that holds the newest one.

Times are `time.monotonic()` in seconds, which on Linux all processes of a machine share, so that any of
them can compute a frame's age; `wall_s` is for people.
"""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import Callable

import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """One image of a camera.

    Attributes:
        number: counts this camera's frames from 1, also across reconnects.
        image: uint8 [H, W, 3] RGB; never written to.
        captured_s: when the source delivered the image, monotonic seconds.
        wall_s: the same moment as seconds since 1970.
        read_s: seconds from then until the server had the pixels.
    """

    number: int
    image: np.ndarray
    captured_s: float
    wall_s: float
    read_s: float = 0.0


class FrameSlot:
    """Holds the newest frame only: a frame not taken before the next one arrives is dropped."""

    def __init__(self, on_drop: Callable[[], None] = lambda: None) -> None:
        """Starts empty; the thread that puts calls `on_drop` for every overwritten frame.

        Create it inside the running event loop whose `get` will be awaited.
        """
        self._loop = asyncio.get_running_loop()
        self._filled = asyncio.Event()
        self._lock = threading.Lock()
        self._frame: Frame | None = None
        self._on_drop = on_drop

    def put(self, frame: Frame) -> None:
        """Replaces the stored frame; any thread may call it, even on a closed loop."""
        with self._lock:
            dropped, self._frame = self._frame is not None, frame
        if dropped:
            self._on_drop()
            return  # the loop has been notified already
        try:
            self._loop.call_soon_threadsafe(self._filled.set)
        except RuntimeError:
            return  # the loop is closed: the server has ended

    async def get(self) -> Frame:
        """Waits for a frame and takes it out; one task at a time."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            with self._lock:
                frame, self._frame = self._frame, None
            if frame is not None:
                return frame

    def newer(self, frame: Frame) -> Frame:
        """Returns the frame that arrived since `get` returned this one, which then counts as dropped.

        For callers that had to wait before starting; returns `frame` itself if none arrived.
        """
        with self._lock:
            newer, self._frame = self._frame, None
        if newer is None:
            return frame
        self._on_drop()
        return newer
