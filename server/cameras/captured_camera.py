"""A camera whose images are captured by its own process: watched, killed if it hangs, restarted.

Faults of a driver or decoder do not reach the server: at worst a process must be killed.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import time
from collections.abc import Sequence

import numpy as np

from server.cameras.camera import Camera
from server.cameras.capture_handle import COMMAND, CaptureProcess
from server.cameras.device import device_path
from server.cameras.lossless import LosslessSlot
from server.cameras.patience import Patience, how_it_ended, patience_for
from server.cameras.wire import CapturedImage, Demand, Order, Report
from server.settings import Settings, Source

_TICK_S = 0.25  # between checks of the clock
_IDLE_FPS = 1.0  # without viewers
_PAUSED = "paused"


class _Life:
    """The state of one capture process.

    Attributes:
        began_s: when it was started.
        first_s, last_s: when its first and newest image arrived; None before.
        image: the newest one, uint8 [H, W, 3] RGB.
        trouble: its last report, once it has given up.
    """

    def __init__(self) -> None:
        self.began_s = time.monotonic()
        self.first_s: float | None = None
        self.last_s: float | None = None
        self.image: np.ndarray | None = None
        self.trouble: Report | None = None


class CapturedCamera(Camera):
    """A webcam, video, network camera or demo; see `Camera`."""

    def __init__(
        self,
        source: Source,
        *,
        settings: Settings,
        patience: Patience | None = None,
        command: Sequence[str] = COMMAND,
    ) -> None:
        """Starts nothing yet.

        Args:
            source: what to capture.
            settings: size and rate, and whether videos are unpaced.
            patience: instead of the default for this kind of source.
            command: instead of the default capture program; for hardware that a machine lacks.
        """
        lossless = settings.unpaced and source.kind == "file"
        self._lossless_slot = LosslessSlot() if lossless else None
        super().__init__(source, slot=self._lossless_slot)
        self.lossless = lossless
        self._patience = patience or patience_for(source.kind)
        self._command = command
        self._order = Order(
            kind=source.kind,
            where=source.where,
            masked=source.masked,
            width=settings.width,
            height=settings.height,
            fps=settings.fps,
            still_fps=settings.still_fps,
            unpaced=lossless,
            parent=os.getpid(),
        )
        self._demand = Demand(fps=_IDLE_FPS)
        self._resumed_s = time.monotonic()  # since when images can be expected
        self._life: _Life | None = None
        self._process: CaptureProcess | None = None
        self._supervisor: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The capture process's id; None while there is none."""
        return None if self._process is None else self._process.pid

    async def start(self) -> None:
        """Begins to open the source; returns at once."""
        self._supervisor = asyncio.create_task(self._supervise(), name=f"camera-{self.name}")

    async def close(self) -> None:
        """Ends the capture process, within three seconds even if it hangs; may be called twice."""
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            supervisor.cancel()
            await asyncio.wait([supervisor])
        if self._process is not None:  # the supervisor was ending it
            await self._process.end()
            self._process = None
        self._set("ended", "the server is closing")

    def set_demand(self, watched: bool) -> None:
        """Requests the full frame rate while the camera has viewers, otherwise one frame per second."""
        self._ask(dataclasses.replace(self._demand, fps=None if watched else _IDLE_FPS))

    def set_paused(self, paused: bool) -> None:
        """Stops and resumes the frames; the source stays open."""
        self._ask(dataclasses.replace(self._demand, paused=paused))
        if paused and self._status in ("starting", "live", "stalled"):
            self._set("paused", _PAUSED)
        elif not paused and self._status == "paused":
            self._set("starting")

    def _ask(self, demand: Demand) -> None:
        if demand == self._demand:
            return
        if self._demand.paused:
            self._resumed_s = time.monotonic()
        self._demand = demand
        if self._process is not None:
            self._process.ask(demand)

    async def _supervise(self) -> None:
        """Runs one process after the other while the camera is open."""
        failures = 0
        while True:
            life = self._life = _Life()
            trouble = await self._live(life)
            if life.first_s is not None and life.last_s is not None:
                steady = life.last_s - life.first_s >= self._patience.steady_s
                failures = 0 if steady else failures
            wait_s = self._patience.wait_s(failures)
            failures += 1
            self._set(trouble.trouble or "reconnecting", trouble.reason, retry_in_s=wait_s)
            await self._wait(wait_s, until_plugged_in=trouble.trouble == "missing")
            self._reconnects += 1
            self._set(self._status, self._reason)  # the wait is over
            self._announce()

    async def _live(self, life: _Life) -> Report:
        """Runs one process until it ends or is overdue; returns why it ended."""
        try:
            process = self._process = CaptureProcess(
                self.name,
                self._order,
                self._demand,
                on_image=lambda captured: self._take_image(life, captured),
                on_report=lambda report: self._take_report(life, report),
                command=self._command,
            )
        except OSError as error:
            return Report(trouble="reconnecting", reason=f"no process could be started: {error}")
        if self._lossless_slot is not None:
            self._lossless_slot.shut(False)
        try:
            while not process.ended.done():
                await asyncio.wait([process.ended], timeout=_TICK_S)
                trouble = life.trouble or self._overdue(life)
                if trouble is not None:
                    return trouble
            return Report(trouble="reconnecting", reason=how_it_ended(process.ended.result()))
        finally:
            self._life = None  # ignores anything it still sends
            if self._lossless_slot is not None:
                self._lossless_slot.shut(True)
            await process.end()
            self._process = None

    def _overdue(self, life: _Life) -> Report | None:
        """Detects a stall by the clock; returns a report if it has lasted too long."""
        held = self._lossless_slot is not None and self._lossless_slot.held
        if self._demand.paused or held:
            self._resumed_s = time.monotonic()
            return None
        now = time.monotonic()
        if life.last_s is None:
            if now - max(life.began_s, self._resumed_s) <= self._patience.start_s:
                return None
            reason = f"no image within {self._patience.start_s:g} s of opening it"
            return Report(trouble="reconnecting", reason=reason)
        quiet_s = now - max(life.last_s, self._resumed_s)
        if quiet_s > self._patience.restart_s:
            reason = f"no image for {self._patience.restart_s:g} s"
            return Report(trouble="reconnecting", reason=reason)
        interval_s = self.interval_s if self._demand.fps is None else 1 / self._demand.fps
        stall_s = max(self._patience.stall_s, 2 * interval_s)
        if quiet_s > stall_s and self._status == "live":
            self._set("stalled", f"no image for {stall_s:g} s")
        return None

    async def _wait(self, seconds: float, *, until_plugged_in: bool) -> None:
        """Waits; plugging a missing webcam in again ends the wait."""
        until = time.monotonic() + seconds
        path = device_path(self.source.where) if self.source.kind == "device" else None
        absent = until_plugged_in and _absent(path)
        while (left := until - time.monotonic()) > 0:
            await asyncio.sleep(min(left, 2 * _TICK_S))
            if absent and not _absent(path):
                return

    def _take_image(self, life: _Life, captured: CapturedImage) -> None:
        """Puts an image in the slot, the same array if it is unchanged; called by the reading thread."""
        if life is not self._life or self._demand.paused:
            return
        received_s = time.monotonic()
        life.last_s = received_s
        if life.first_s is None:
            life.first_s = received_s
        if captured.image is not None:
            life.image = captured.image
        if life.image is None:
            return
        frame = self._accept(
            life.image,
            captured_s=captured.captured_s,
            wall_s=captured.wall_s,
            received_s=received_s,
        )
        if self._status != "live":
            self._tell_loop(lambda: self._come_alive(life))
        self.slot.put(frame)

    def _come_alive(self, life: _Life) -> None:
        if life is self._life and self._status != "live" and not self._demand.paused:
            self._set("live")

    def _take_report(self, life: _Life, report: Report) -> None:
        if report.trouble is not None:
            life.trouble = report
            return
        self._source_fps = report.fps or self._source_fps
        if life is self._life and self._demand.paused:
            self._set("paused", _PAUSED)


def _absent(path: str | None) -> bool:
    return path is not None and not os.path.exists(path)
