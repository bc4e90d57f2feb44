"""Visitors that repeat requests until a test has seen enough."""

from __future__ import annotations

import abc
import threading
from typing import Self


class Load(abc.ABC):
    """Repeats a request in several threads for the duration of the context."""

    def __init__(self, *, visitors: int) -> None:
        self._stop = threading.Event()
        self._answered = threading.Semaphore(0)
        self._threads = [threading.Thread(target=self._run, args=(n,)) for n in range(visitors)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(90)

    @abc.abstractmethod
    def ask(self, visitor: int) -> None:
        """Sends one request and notes its outcome."""

    def wait(self, requests: int) -> None:
        """Returns after that many further outcomes."""
        for _ in range(requests):
            assert self._answered.acquire(timeout=90)

    def _run(self, visitor: int) -> None:
        while not self._stop.is_set():
            self.ask(visitor)
            self._answered.release()
