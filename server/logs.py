"""Writes log lines to standard error without blocking, even to a pipe that is not read.

Threads and the event loop only queue their records; a thread of this module writes them. Repeated
records are written once and then counted, and records that do not fit into the queue are counted too.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import logging
import logging.handlers
import os
import queue
import select
import sys
import threading
import time
import warnings
from collections.abc import Callable, Hashable, Iterator

from aiohttp import BadContentDispositionHeader, BadContentDispositionParam

WINDOW_S = 10.0  # within which records of one kind are folded into one line
_DIFFERENT = 5  # texts of one kind written in that time
_MOST_KINDS = 256
_QUEUED = 1000
_POLL_S = 0.5
_LAST_LINES_S = 1.0
_KIND_LENGTH = 200
_FORMAT = "%(levelname)s %(name)s: %(message)s"
# A ready pipe accepts this much without blocking: PIPE_BUF of Linux.
_CHUNK_BYTES = 4096


@dataclasses.dataclass
class _Kind:
    """Records of one kind in one window.

    Attributes:
        name, level: name of the logger, and severity.
        until_s: end of the window, monotonic seconds.
        texts: those written.
        folded: how many were not written.
    """

    name: str
    level: int
    until_s: float
    texts: dict[str, None]
    folded: int = 0

    def summary(self) -> logging.LogRecord:
        """Returns one line for all folded records."""
        first = next(iter(self.texts))
        return logging.LogRecord(
            self.name,
            self.level,
            "",
            0,
            "%s (%d more like this in %.0f s)",
            (first, self.folded, WINDOW_S),
            None,
        )


class Repeats:
    """Finds repeated records; not thread-safe."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Starts without records; `clock` is in seconds."""
        self._clock = clock
        self._kinds: collections.OrderedDict[Hashable, _Kind] = collections.OrderedDict()
        self._over: list[_Kind] = []

    def admits(self, record: logging.LogRecord) -> bool:
        """Whether a record should be written; otherwise it is counted."""
        key, now = _kind_of(record), self._clock()
        kind = self._kinds.get(key)
        if kind is None or now >= kind.until_s:
            self._close(key)
            kind = _Kind(record.name, record.levelno, now + WINDOW_S, {})
            self._kinds[key] = kind
            if len(self._kinds) > _MOST_KINDS:
                self._close(next(iter(self._kinds)))
        text = record.getMessage().partition("\n")[0]
        if text in kind.texts or len(kind.texts) >= _DIFFERENT:
            kind.folded += 1
            return False
        kind.texts[text] = None
        return True

    def summaries(self, *, at_end: bool = False) -> list[logging.LogRecord]:
        """Returns a line for every finished window (`at_end`: for all) with repeats."""
        now = self._clock()
        for key, kind in tuple(self._kinds.items()):
            if at_end or now >= kind.until_s:
                self._close(key)
        over, self._over = self._over, []
        return [kind.summary() for kind in over]

    def _close(self, key: Hashable) -> None:
        kind = self._kinds.pop(key, None)
        if kind is not None and kind.folded:
            self._over.append(kind)


def _kind_of(record: logging.LogRecord) -> Hashable:
    """Returns a key shared by records that differ only in arguments; the place of the error counts."""
    error = record.exc_info[1] if record.exc_info else None
    where: Hashable = None
    if error is not None:
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        line = None if trace is None else (trace.tb_frame.f_code.co_filename, trace.tb_lineno)
        where = type(error), line
    # asyncio's messages have no arguments; they differ after the first line.
    text = str(record.msg).partition("\n")[0][:_KIND_LENGTH]
    return record.name, record.levelno, text, where


class QueuedLog(logging.handlers.QueueHandler):
    """A handler that never blocks.

    Attributes:
        dropped: records dropped because of a full queue since the last `take_lost`.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Starts with an empty queue; `clock` is in seconds."""
        self.lines: queue.Queue[logging.LogRecord] = queue.Queue(_QUEUED)
        super().__init__(self.lines)
        self.setFormatter(logging.Formatter(_FORMAT))
        self.dropped = 0
        self._repeats = Repeats(clock=clock)

    def emit(self, record: logging.LogRecord) -> None:
        """Queues a record unless it repeats another one."""
        try:
            admitted = self._repeats.admits(record)
        except Exception:  # noqa: BLE001 - as logging does if arguments do not fit the message
            self.handleError(record)
            return
        if admitted:
            super().emit(record)

    def enqueue(self, record: logging.LogRecord) -> None:
        """Queues a prepared record, or counts it."""
        try:
            self.lines.put_nowait(record)
        except queue.Full:
            self.dropped += 1

    def take_lost(self, *, at_end: bool = False) -> list[str]:
        """Returns a line for each kind of folded record, and one for dropped records."""
        with contextlib.ExitStack() as stack:
            if self.lock is not None:
                stack.enter_context(self.lock)
            records = self._repeats.summaries(at_end=at_end)
            dropped, self.dropped = self.dropped, 0
        lines = [self.format(record) for record in records]
        if dropped:
            lines.append(
                f"WARNING {__name__}: {dropped} records were dropped; the log was not read"
            )
        return lines


class _Writer:
    """Writes a handler's queued records to a file descriptor, in a thread that may be left behind."""

    def __init__(self, handler: QueuedLog, *, descriptor: int) -> None:
        self._handler, self._descriptor = handler, descriptor
        self._ready = None
        if hasattr(select, "poll"):  # on Windows a write waits for the reader
            self._ready = select.poll()
            self._ready.register(descriptor, select.POLLOUT)
        self._ending = threading.Event()
        # A daemon: an unread log must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Writes what is left, as far as it is read."""
        self._ending.set()
        self._thread.join(_LAST_LINES_S)

    def _run(self) -> None:
        with contextlib.suppress(OSError):  # the reader has gone
            while self._write_next():
                pass

    def _write_next(self) -> bool:
        """Writes one record, or the lines of `take_lost`; False at the end."""
        ending = self._ending.is_set()
        try:
            record = self._handler.lines.get(timeout=0 if ending else _POLL_S)
        except queue.Empty:
            lost = self._handler.take_lost(at_end=ending)
            return all(self._write(line) for line in lost) and not ending
        return self._write(record.getMessage())

    def _write(self, line: str) -> bool:
        """Writes a line as soon as possible; False if the end comes first."""
        data = f"{line}\n".encode(errors="backslashreplace")
        for start in range(0, len(data), _CHUNK_BYTES):
            while self._ready is not None and not self._ready.poll(1000 * _POLL_S):
                if self._ending.is_set():
                    return False
            os.write(self._descriptor, data[start : start + _CHUNK_BYTES])
        return True


@contextlib.contextmanager
def queued_log(*, descriptor: int | None = None) -> Iterator[QueuedLog]:
    """Sends all records of this process through a queue for the duration of the context.

    Warnings of Python become records too, except those about what a visitor wrote in a form: each text
    differs, and Python remembers all of them.

    Args:
        descriptor: of the file to write to; standard error by default.
    """
    target = sys.stderr.fileno() if descriptor is None else descriptor
    root, handler = logging.getLogger(), QueuedLog()
    before = root.handlers[:]
    root.handlers[:] = [handler]
    writer = _Writer(handler, descriptor=target)
    try:
        with warnings.catch_warnings():
            for kind in (BadContentDispositionHeader, BadContentDispositionParam):
                warnings.simplefilter("ignore", kind)
            logging.captureWarnings(True)
            yield handler
    finally:
        logging.captureWarnings(False)
        writer.close()
        root.handlers[:] = before
