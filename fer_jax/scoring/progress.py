"""Progress of a scoring run: a live line on a terminal, elsewhere a plain line now and then."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

PLAIN_EVERY_S = 10.0  # between two plain lines
_LIVE_EVERY_S = 0.1
_MOST_NOTES = 10


class ScoringProgress:
    """Counts files and faces and shows them on standard error; a context manager."""

    def __init__(
        self, *, count: Callable[[], int | None] | None = None, quiet: bool = False
    ) -> None:
        """Starts the clock.

        Args:
            count: counts the inputs, for the time left; runs in a thread, and only on a terminal.
                It, or its result, is None if they cannot be counted in advance.
            quiet: show nothing.
        """
        self.files = self.faces = 0
        self._share = 0.0
        self._console = Console(file=sys.stderr, highlight=False, quiet=quiet)
        self._live = self._console.is_terminal
        self._bar = Progress(
            BarColumn(),
            TextColumn("{task.fields[said]}  left"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._live,
            transient=True,
        )
        self._task = self._bar.add_task("", total=None, said="")
        self._count = count
        self._notes = 0
        self._started = self._shown = time.monotonic()

    def __enter__(self) -> ScoringProgress:
        self._bar.start()
        if self._count is not None and self._live:
            threading.Thread(target=self._set_total, args=(self._count,), daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def seconds(self) -> float:
        """Returns the time since the start."""
        return time.monotonic() - self._started

    def show(self, *, files: int, faces: int, share: float = 0.0) -> None:
        """Shows progress: inputs finished, faces found, and the finished share of the next input."""
        self.files, self.faces, self._share = files, faces, share
        now = time.monotonic()
        if now < self._shown + (_LIVE_EVERY_S if self._live else PLAIN_EVERY_S):
            return
        self._shown = now
        self._bar.update(self._task, completed=files + share, said=self._said())
        if not self._live:
            self.say(self._said())

    def note(self, line: str) -> None:
        """Reports something about one input; after a few such lines only the output has the rest."""
        self._notes += 1
        if self._notes <= _MOST_NOTES:
            self.say(line)
        if self._notes == _MOST_NOTES:
            self.say("further such inputs are only listed in the output")

    def say(self, line: str) -> None:
        """Prints one line above the live one."""
        self._console.print(line, markup=False, soft_wrap=True)

    def _said(self) -> str:
        total = self._bar.tasks[0].total
        of = f"/{total:,.0f}" if total else ""
        seconds = max(self.seconds(), 1e-9)
        video = f" + {self._share:.0%} of a video" if self._share else ""
        return (
            f"{self.files:,}{of} files{video}, {self.faces:,} faces, "
            f"{self.files / seconds:,.1f} files/s, {self.faces / seconds:,.1f} faces/s"
        )

    def _set_total(self, count: Callable[[], int | None]) -> None:
        self._bar.update(self._task, total=count())
