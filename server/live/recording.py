"""Records a camera; a thread of the recording's own writes it.

The event loop only hands frames over. When the disk or the encoder is too slow, images are left out of
the video; rows of the csv are not.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import queue
import threading
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fer_jax.machine.outputs import FULL_DISK
from fer_jax.machine.outputs import reason as system_reason
from server.live.analysis import Analysis
from server.live.recording_files import RecordingFiles
from server.live.recording_space import NoRoomError, Space

_WAITING = 8  # images of up to 6 MB
_MOST_LATE = 3600  # frames without their image, two minutes of them, while the disk does not answer
_NICENESS = 5
_CLOSE_S = 3.0

_LOG = logging.getLogger(__name__)


class _Item(NamedTuple):
    """A frame and its image, after earlier frames that are recorded without theirs."""

    late: list[tuple[Analysis, float]]  # each with its `uncertain_below`
    analysis: Analysis
    image: np.ndarray | None
    uncertain_below: float


class Recording:
    """Records until it is closed or fails; made, fed and closed on the event loop."""

    def __init__(
        self, camera: str, *, space: Space, fps: float, on_end: Callable[[str], None]
    ) -> None:
        """Starts the thread; files are created with the first frame.

        Args:
            camera: its name.
            space: where the files go, and how much they may take.
            fps: usual frames per second.
            on_end: called once, by the thread, with the reason if it ended by itself, otherwise "".
        """
        self._camera, self._space, self._fps = camera, space, fps
        self._on_end = on_end
        self._items: queue.Queue[_Item | None] = queue.Queue(_WAITING)
        self._late: list[tuple[Analysis, float]] = []
        self._skipped = 0
        self._files: RecordingFiles | None = None
        self._bytes = 0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"record-{camera}", daemon=True)
        self._thread.start()

    def add(self, analysis: Analysis, image: np.ndarray | None, *, uncertain_below: float) -> None:
        """Records a frame; never waits.

        Args:
            analysis: the next frame's.
            image: uint8 [H, W, 3] RGB as it is to be seen, not changed any more; None for no image.
            uncertain_below: confidence below which a face is uncertain.
        """
        try:
            self._items.put_nowait(_Item(self._late, analysis, image, uncertain_below))
            self._late = []
        except queue.Full:
            self._skipped += 1
            if len(self._late) < _MOST_LATE:
                self._late.append((analysis, uncertain_below))

    def end(self) -> None:
        """Ends it soon: what was handed over is still written. `join` waits for that."""
        self._closing.set()
        try:
            self._items.put_nowait(None)
        except queue.Full:
            return  # the thread looks at the flag after each item

    def join(self) -> None:
        """Waits until the files are complete, or for three seconds; blocks."""
        self._thread.join(_CLOSE_S)

    def _run(self) -> None:
        if hasattr(os, "setpriority"):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        reason = self._tried(self._write_all)
        if self._files is not None:
            reason = self._tried(self._files.close) or reason
        if reason:
            _LOG.warning("camera %s: recording ended: %s", self._camera, reason)
        if self._skipped:
            _LOG.warning("camera %s: %d images were left out", self._camera, self._skipped)
        self._on_end(reason)

    def _tried(self, write: Callable[[], None]) -> str:
        """Returns why it failed, one line; "" if it did not."""
        try:
            write()
        except (OSError, ValueError) as error:
            return _reason(error)
        except Exception:  # noqa: BLE001 - reported in the log and on the page
            _LOG.exception("camera %s: recording failed", self._camera)
            return "the recording failed; see the log"
        return ""

    def _write_all(self) -> None:
        while not (self._closing.is_set() and self._items.empty()):
            item = self._items.get()
            if item is None:
                break
            for analysis, uncertain_below in item.late:
                self._write(analysis, None, uncertain_below)
            self._write(item.analysis, item.image, item.uncertain_below)
        for analysis, uncertain_below in self._late:  # `add` is not called after `end`
            self._write(analysis, None, uncertain_below)

    def _write(self, analysis: Analysis, image: np.ndarray | None, uncertain_below: float) -> None:
        files = self._files_for(analysis)
        files.add(analysis, image, uncertain_below=uncertain_below)
        written = files.bytes
        self._space.take(written - self._bytes)
        self._bytes = written

    def _files_for(self, analysis: Analysis) -> RecordingFiles:
        """Returns the open files, or two more if the camera was turned or changed its size."""
        if self._files is not None and self._files.size == (analysis.width, analysis.height):
            return self._files
        if self._files is not None:
            before, self._files = self._files, None
            before.close()
            self._space.take(before.bytes - self._bytes)
        self._bytes = 0
        self._files = RecordingFiles(
            self._space.folder, self._camera, first=analysis, fps=self._fps
        )
        return self._files


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, NoRoomError):
        return str(error)
    if isinstance(error, OSError) and error.errno in FULL_DISK:
        return "the disk is full; free some room and record again"
    if isinstance(error, OSError):
        return f"the recording cannot be written ({system_reason(error)})"
    return f"the recording cannot be written ({error})"


class Recorder:
    """Starts and ends one camera's recordings; belongs to the event loop's thread.

    Attributes:
        problem: why the last recording ended by itself, one line; "" if it did not.
    """

    def __init__(self, camera: str, *, space: Space, on_failure: Callable[[], None]) -> None:
        """Records nothing yet; create it inside the running event loop.

        Args:
            camera: its name.
            space: shared by all cameras.
            on_failure: called on the loop when a recording has ended by itself.
        """
        self.problem = ""
        self._camera, self._space, self._on_failure = camera, space, on_failure
        self._loop = asyncio.get_running_loop()
        self._current: Recording | None = None
        self._ending: set[Recording] = set()

    @property
    def active(self) -> bool:
        """Whether frames are recorded."""
        return self._current is not None

    def switch(self, on: bool, *, fps: float) -> None:
        """Starts a recording of about `fps` frames per second, or ends the current one."""
        if on == self.active:
            return
        if self._current is not None:
            self._current.end()
            self._ending.add(self._current)
            self._current = None
            return
        self.problem = ""
        recording = self._current = Recording(
            self._camera,
            space=self._space,
            fps=fps,
            on_end=lambda reason: self._tell(recording, reason),
        )

    def add(self, analysis: Analysis, image: np.ndarray | None, *, uncertain_below: float) -> None:
        """Records a frame, if there is a recording; see `Recording.add`."""
        if self._current is not None:
            self._current.add(analysis, image, uncertain_below=uncertain_below)

    async def close(self) -> None:
        """Ends the recording and waits until its files are complete."""
        self.switch(False, fps=0.0)
        for recording in tuple(self._ending):
            await asyncio.to_thread(recording.join)
            self._ending.discard(recording)

    def _tell(self, recording: Recording, reason: str) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._ended, recording, reason)

    def _ended(self, recording: Recording, reason: str) -> None:
        self._ending.discard(recording)
        if recording is self._current:
            self._current, self.problem = None, reason
            self._on_failure()
