"""A visitor's own camera: JPEG images from a WebSocket, one at a time, decoded off the event loop.

with camera.visit() as visit:          # CameraBusyError while another visitor is sending
    async for message in websocket:
        number = await visit.offer(message.data)
        await websocket.send_json({"type": "ack", "number": number})
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

import numpy as np

from fer_jax.errors import FerError
from fer_jax.media.decoder import Decoder
from fer_jax.media.image_errors import BadImageError
from fer_jax.media.image_header import format_of
from server.cameras.camera import Camera
from server.cameras.fit import fit
from server.cameras.frames import Frame, FrameSlot
from server.settings import Limits, Source

_NOBODY = "no visitor is sending images; open the page and use this browser's camera"
_PAUSED = "paused"
_STALLED_S = 2.0  # a visitor's browser in the background may send a frame a second
_DECODE_S = 2.0  # of one image; a camera's takes milliseconds
_YIELDS_S = 5.0  # a visitor who sent nothing for this long can be replaced
_TAKEN_WITHIN_S = 1.0  # the pipeline takes a frame within milliseconds, or is not running at all


class CameraBusyError(FerError):
    """Another visitor is sending images to this camera."""


class TakenSlot(FrameSlot):
    """A slot that signals when its frame was taken out."""

    def __init__(self, on_drop: Callable[[], None]) -> None:
        super().__init__(on_drop)
        self.taken = asyncio.Event()

    async def get(self) -> Frame:
        """Waits for a frame and takes it out; one task at a time."""
        frame = await super().get()
        self.taken.set()
        return frame

    def newer(self, frame: Frame) -> Frame:
        """Takes the frame that arrived since then, if any."""
        newest = super().newer(frame)
        if newest is not frame:
            self.taken.set()
        return newest


class BrowserCamera(Camera):
    """A camera whose images a visitor sends; "missing" without a visitor, which is not an error."""

    def __init__(self, source: Source, *, limits: Limits | None = None) -> None:
        self._taken_slot = TakenSlot(self._count_drop)
        super().__init__(source, slot=self._taken_slot)
        self._limits = limits or Limits()
        self._visit: Visit | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._decoder = Decoder(max_pixels=self._limits.image_pixels)
        self._watch: asyncio.Task[None] | None = None
        self._paused = False

    async def start(self) -> None:
        """Waits for visitors from now on."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"decode-{self.name}")
        self._watch = asyncio.create_task(self._watch_visit(), name=f"camera-{self.name}")
        self._set("missing", _NOBODY)

    async def close(self) -> None:
        """Stops accepting images; a visit's next `offer` raises CameraBusyError."""
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.cancel()
            await asyncio.wait([watch])
        thread, self._thread = self._thread, None
        self._visit = None
        if thread is not None:
            await asyncio.wrap_future(thread.submit(self._decoder.close))  # after its pending work
            thread.shutdown()
        self._set("ended", "the server is closing")

    def visit(self) -> Visit:
        """Returns a new visitor's connection; use it as a context manager.

        Raises:
            CameraBusyError: another visitor sent an image within the last five seconds, or the
                camera is not open.
        """
        if self._thread is None:
            raise CameraBusyError(f"camera {self.name} is closed")
        if self._visit is not None and time.monotonic() - self._visit.heard_s < _YIELDS_S:
            raise CameraBusyError(
                f"camera {self.name} is in use by another visitor; try again when they have left"
            )
        self._thread.submit(self._decoder.start)  # it is ready when the first image comes
        self._reconnects += self._frames > 0
        self._visit = Visit(self)
        if self._paused:
            self._set("paused", _PAUSED)
        else:
            self._set("starting", "a visitor has connected; no image yet")
        return self._visit

    def set_paused(self, paused: bool) -> None:
        """Drops a visitor's images while paused; they are still acknowledged."""
        self._paused = paused
        if self._visit is not None:
            self._set("paused" if paused else "starting", _PAUSED if paused else "")

    def _leave(self, visit: Visit) -> None:
        if self._visit is visit:
            self._visit = None
            self._set("missing", _NOBODY)

    async def _take(self, visit: Visit, jpeg: bytes) -> int:
        thread = self._thread
        if self._visit is not visit or thread is None:
            raise CameraBusyError(f"camera {self.name} was taken over by another visitor or closed")
        captured_s, wall_s = time.monotonic(), time.time()
        visit.heard_s = captured_s
        image = await self._loop.run_in_executor(thread, self._decode, jpeg)
        if self._paused or self._visit is not visit:
            return self._frames
        frame = self._accept(
            image, captured_s=captured_s, wall_s=wall_s, received_s=time.monotonic()
        )
        if self._status != "live":
            self._set("live")
        self._taken_slot.taken.clear()
        self.slot.put(frame)
        try:
            await asyncio.wait_for(self._taken_slot.taken.wait(), _TAKEN_WITHIN_S)
        except TimeoutError:
            return frame.number  # the next one will replace it
        return frame.number

    def _decode(self, jpeg: bytes) -> np.ndarray:
        """Returns uint8 [H, W, 3] RGB, no larger than `fit` allows."""
        if len(jpeg) > self._limits.image_bytes:
            raise BadImageError(f"the image has more than {self._limits.image_bytes} bytes")
        if format_of(jpeg) not in ("jpeg", None):  # the decoder reports what None is
            raise BadImageError("a browser's camera sends JPEG images")
        while not self._decoder.wait_ready(_DECODE_S):
            if self._thread is None:
                raise CameraBusyError(f"camera {self.name} is closed")
        with self._decoder.decoded(jpeg, seconds=_DECODE_S) as image:
            return np.array(fit(image))

    async def _watch_visit(self) -> None:
        while True:
            await asyncio.sleep(_STALLED_S / 4)
            if self._visit is None or self._paused:
                continue
            silent_s = time.monotonic() - self._visit.heard_s
            if silent_s > _STALLED_S and self._status in ("live", "starting"):
                self._set("stalled", "the visitor's browser has stopped sending images")


class Visit:
    """One visitor's connection to a `BrowserCamera`.

    Attributes:
        since_s: when the visitor connected, monotonic seconds.
        heard_s: when the last image arrived, monotonic seconds.
    """

    def __init__(self, camera: BrowserCamera) -> None:
        self._camera = camera
        self.since_s = self.heard_s = time.monotonic()

    async def offer(self, jpeg: bytes) -> int:
        """Submits one image; returns its frame number when the visitor may send the next one.

        That is when the pipeline has taken it out of the slot, so that nothing queues.

        Raises:
            BadImageError: not a complete JPEG, or over the limits of bytes and pixels.
            CameraBusyError: a newer visitor took over, or the camera was closed.
        """
        return await self._camera._take(self, jpeg)

    def leave(self) -> None:
        """Frees the camera for the next visitor; may be called twice."""
        self._camera._leave(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.leave()
