"""Refuses work that would wait longer than anybody wants to, before it is begun.

A limit on how many wait is either too low for a machine that is idle or too high for one that is busy:
what counts is how long each takes at the moment.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

_NEWEST = 0.2  # weight of the last piece of work in the mean


class QueueFull(Exception):  # noqa: N818
    """Too much is waiting already. `retry_after_s`: seconds until it should be less."""

    def __init__(self, retry_after_s: float) -> None:
        """Tells when to come back."""
        super().__init__(f"the queue of faces is full; again in {retry_after_s:.1f} s")
        self.retry_after_s = retry_after_s


class LoadShedding:
    """Watches one queue of work; belongs to the event loop's thread."""

    def __init__(
        self, *, most_s: float, threads: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Has seen no work yet.

        Args:
            most_s: how long a piece of work may be expected to wait and take.
            threads: that work at a time.
            clock: tells seconds.
        """
        self._most_s, self._threads, self._clock = most_s, threads, clock
        self._under_way = 0
        self._mean_s = 0.0

    def check(self) -> None:
        """Asks without beginning anything, so that a body that would be refused need not be read.

        Raises:
            QueueFull: with what is under way a piece of work would take too long.
        """
        waits = self._waits()
        if waits and (waits + 1) * self._mean_s > self._most_s:
            raise QueueFull(waits * self._mean_s)

    @contextlib.contextmanager
    def work(self) -> Iterator[None]:
        """Counts one piece of work in, and out with the time it took.

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
        """How many would go before a new piece of work on its thread."""
        return self._under_way // self._threads
