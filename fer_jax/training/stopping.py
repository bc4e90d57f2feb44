"""Turns signals into a request to stop, so that a run can save itself first."""

from __future__ import annotations

import signal
from types import FrameType


class StopSignal:
    """Turns SIGTERM and the first Ctrl-C into a request to stop; a second Ctrl-C has its default effect.

    A second SIGTERM does not: make and timeout send it to a process and to its group.
    """

    def __init__(self) -> None:
        self.received = 0

    def __enter__(self) -> StopSignal:
        self._before = {s: signal.signal(s, self._note) for s in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        self.received = number
        if number == signal.SIGINT:
            signal.signal(number, self._before[signal.SIGINT])
