"""A capture process: `python -m server.cameras.capture_process`, started by the server for each camera.

It opens the source named in its first line of input and writes images until its input closes or its
source ends. It may hang or crash with its source: the server kills it and starts another. It never
imports JAX.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable

import numpy as np

from fer_jax.machine.confinement import limit_memory
from server.cameras.reader import UNCHANGED, Reader, SourceError, Unchanged
from server.cameras.sources import open_reader
from server.cameras.wire import (
    CapturedImage,
    Demand,
    Order,
    Report,
    parse_demand,
    parse_order,
    send_image,
    send_report,
)

_LATE_S = 0.25  # a video this far behind does not catch up: it continues from here
# Memory limit of a camera. An 8K video takes 0.75 GiB with two decoder threads; FFmpeg starts up to
# 16, each holding a few images of 50 MB.
_MEMORY_BYTES = 6 << 30
_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


class Demands:
    """The server's current demand; replaced by one thread, awaited by another."""

    def __init__(self, first: Demand) -> None:
        self._condition = threading.Condition()
        self._current = first

    @property
    def current(self) -> Demand:
        """The newest demand."""
        return self._current

    def replace(self, demand: Demand) -> None:
        """Replaces the demand."""
        with self._condition:
            self._current = demand
            self._condition.notify_all()

    def wait_for_other(self, than: Demand, seconds: float | None) -> bool:
        """Waits until the demand is another one; False on timeout."""
        with self._condition:
            return self._condition.wait_for(lambda: self._current is not than, seconds)


def main(opener: Callable[[Order], Reader] = open_reader) -> int:
    """Serves one order; returns the exit code."""
    order = parse_order(sys.stdin.buffer.readline())
    _die_with(order.parent)
    limit_memory(_MEMORY_BYTES)
    demands = Demands(parse_demand(sys.stdin.buffer.readline()))
    threading.Thread(target=_listen, args=(demands,), daemon=True).start()
    pipe = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # keeps libraries' output out of the pipe
    try:
        _serve(order, demands, pipe, opener)
    except BrokenPipeError:
        return 0  # the server is gone
    return 1


def _serve(order: Order, demands: Demands, pipe: int, opener: Callable[[Order], Reader]) -> None:
    """Sends images until the source ends, then the reason."""
    try:
        reader = opener(order)
        try:
            send_report(pipe, Report(fps=reader.fps))
            if reader.live:
                relay(reader, demands, lambda captured: send_image(pipe, captured))
            else:
                unpaced = order.unpaced and order.kind == "file"
                play(reader, demands, lambda captured: send_image(pipe, captured), unpaced=unpaced)
        finally:
            reader.close()
    except BrokenPipeError:
        raise
    except SourceError as error:
        send_report(pipe, Report(trouble=error.trouble, reason=str(error)))
    except Exception as error:  # noqa: BLE001 - from a driver or library; its text may hold a password
        reason = f"reading {order.masked} failed inside ({type(error).__name__})"
        send_report(pipe, Report(trouble="reconnecting", reason=reason))


def relay(reader: Reader, demands: Demands, send: Callable[[CapturedImage], None]) -> None:
    """Sends a live source's images as they arrive; all are grabbed, so that none becomes stale.

    Raises:
        SourceError: the source has ended.
    """
    slack_s = 0.5 / reader.fps if reader.fps > 0 else 0.0
    sent_s = -float("inf")
    while True:
        captured_s = reader.grab()
        wall_s = time.time()
        demand = demands.current
        early = demand.fps is not None and captured_s - sent_s < 1 / demand.fps - slack_s
        if demand.paused or early:
            continue
        image = reader.image()
        if image is not None:
            sent_s = captured_s
            send(_captured(image, captured_s=captured_s, wall_s=wall_s))


def play(
    reader: Reader, demands: Demands, send: Callable[[CapturedImage], None], *, unpaced: bool
) -> None:
    """Plays a source, each image at its time; without viewers it advances slowly.

    Raises:
        SourceError: the source has ended.
    """
    begin_s: float | None = None  # monotonic time of the source's time 0
    sent_s = -float("inf")
    while True:
        demand = demands.current
        if demand.paused:
            demands.wait_for_other(demand, None)
            begin_s = None
            continue
        time_s = reader.grab()
        now = time.monotonic()
        if demand.fps is not None:
            begin_s, due = None, sent_s + 1 / demand.fps
        elif unpaced:
            due = now
        else:
            if begin_s is None or now - (begin_s + time_s) > _LATE_S:
                begin_s = now - time_s
            due = begin_s + time_s
        if due > now and demands.wait_for_other(demand, due - now):
            begin_s = None  # a new viewer does not wait
        sent_s, wall_s = time.monotonic(), time.time()
        image = reader.image()
        if image is not None:
            send(_captured(image, captured_s=sent_s, wall_s=wall_s))


def _captured(image: np.ndarray | Unchanged, *, captured_s: float, wall_s: float) -> CapturedImage:
    new = None if image is UNCHANGED else image
    return CapturedImage(image=new, captured_s=captured_s, wall_s=wall_s)


def _listen(demands: Demands) -> None:
    """Reads the server's demands; ends the process with the server."""
    for text in sys.stdin.buffer:
        try:
            demands.replace(parse_demand(text))
        except (ValueError, TypeError):
            continue  # half a line, sent before this thread listened
    os._exit(0)  # even if the other thread hangs


def _die_with(parent: int) -> None:
    """Makes the system kill this process when the server dies, even while it is stopped."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # On Windows an environment's interpreter is a launcher in between.
    if sys.platform != "win32" and os.getppid() != parent:
        os._exit(0)  # it died before that


if __name__ == "__main__":
    sys.exit(main())
