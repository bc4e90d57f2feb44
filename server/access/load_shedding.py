"""Refuses work that would wait too long, before it is started.

A limit on queue length is either too low for an idle machine or too high for a busy one: what counts is
how long each piece of work takes at the moment.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

_NEWEST = 0.2  # weight of the latest piece of work in the mean


class QueueFull(Exception):  # noqa: N818
    """Too much work is waiting. `retry_after_s`: seconds until there should be less."""

    def __init__(self, retry_after_s: float) -> None:
        """Sets when to try again."""
        super().__init__(f"the queue of faces is full; try again in {retry_after_s:.1f} s")
        self.retry_after_s = retry_after_s


class LoadShedding:
    """Monitors one queue of work; belongs to the event loop's thread."""

    def __init__(
        self, *, most_s: float, threads: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Starts without measurements.

        Args:
            most_s: longest expected time of a piece of work, waiting included.
            threads: working at a time.
            clock: returns seconds.
        """
        self._most_s, self._threads, self._clock = most_s, threads, clock
        self._under_way = 0
        self._mean_s = 0.0

    def check(self) -> None:
        """Checks without starting work, so that a body that would be refused need not be read.

        Raises:
            QueueFull: with the current queue, a piece of work would take too long.
        """
        waits = self._waits()
        if waits and (waits + 1) * self._mean_s > self._most_s:
            raise QueueFull(waits * self._mean_s)

    @contextlib.contextmanager
    def work(self) -> Iterator[None]:
        """Counts one piece of work and measures its time.

        Raises:
            QueueFull: as `check` does.
        """
        self.check()
        waits = self._waits()
        self._under_way += 1
        begun_s = self._clock()
        try:
            yield
            # It shared the threads with those before it.
            took_s = (self._clock() - begun_s) / (waits + 1)
            self._mean_s += _NEWEST * (took_s - self._mean_s)
        finally:
            self._under_way -= 1

    def _waits(self) -> int:
        """How many pieces of work are ahead of a new one on its thread."""
        return self._under_way // self._threads
