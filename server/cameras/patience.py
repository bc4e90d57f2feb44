"""How long a camera may take before it counts as stalled, is restarted, and is retried."""

from __future__ import annotations

import dataclasses
import random
import signal

from server.settings import SourceKind

_RANDOM = random.Random()  # not the global one, whose seed belongs to others


@dataclasses.dataclass(frozen=True, kw_only=True)
class Patience:
    """Seconds, all of them.

    Attributes:
        stall_s: without an image, before the camera is called stalled; two intervals if that is more.
        restart_s: without an image, before its capture process is killed.
        start_s: from the start of a process to its first image; a webcam takes up to three, a camera
            waiting for its next key frame ten.
        waits_s: between attempts, in order; the last one repeats.
        jitter: share by which a wait is randomly longer or shorter, so that cameras behind one switch
            do not all reconnect at once.
        steady_s: after this long with images, the waits start from the first again.
    """

    stall_s: float = 2.0
    restart_s: float = 5.0
    start_s: float = 20.0
    waits_s: tuple[float, ...] = (1.0, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
    jitter: float = 0.2
    steady_s: float = 2.0

    def wait_s(self, failures: int) -> float:
        """Returns how long to wait after `failures` in a row, counted from 0."""
        wait_s = self.waits_s[min(failures, len(self.waits_s) - 1)]
        return wait_s * _RANDOM.uniform(1 - self.jitter, 1 + self.jitter)


def patience_for(kind: SourceKind) -> Patience:
    """Returns the default patience for a kind of source: networks pause, webcams do not."""
    return Patience(restart_s=20.0, start_s=30.0) if kind == "network" else Patience()


def how_it_ended(code: int) -> str:
    """Describes how a process ended, from its exit code as `subprocess` reports it."""
    if code >= 0:
        return f"the capture process ended with code {code}"
    try:
        return f"the capture process was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"the capture process was ended by signal {-code}"
