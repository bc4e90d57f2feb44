"""Slow readers: little is buffered for viewers, and stalled clients are disconnected.

A viewer's lag is what lies between the encoder and its eyes. The kernel would buffer megabytes of old
images; here it gets at most what is on its way, and a new image is written when that has gone.

An ordinary answer has a deadline: a client that does not read it would hold its socket for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import math
import socket
import struct
import time
from collections.abc import Callable, Iterator

_LOG = logging.getLogger(__name__)

_LOWAT_BYTES = 16 * 1024  # unsent bytes from which on the kernel says that it is full
# 25 on Linux, for which Python 3.11 has no name.
_TCP_NOTSENT_LOWAT = getattr(socket, "TCP_NOTSENT_LOWAT", 25)
_LEAST_BYTES_PER_S = 16 * 1024  # that an ordinary answer has to be taken at
_NO_LINGER = struct.pack("ii", 1, 0)
_LOOK_S = 1.0


@dataclasses.dataclass
class _Backlog:
    """What a socket's buffer held when it was last seen, and what is expected of it.

    Attributes:
        pending: bytes that wait to be taken.
        stream: whether they are an endless answer's.
        due_s: when a stream has to have taken something, any other answer all, monotonic seconds.
    """

    pending: int = 0
    stream: bool = False
    due_s: float = math.inf


def buffer_little(transport: asyncio.WriteTransport) -> None:
    """Makes `drain` wait until the kernel has taken all, and the kernel take only what it can send."""
    transport.set_write_buffer_limits(high=0)
    connection = transport.get_extra_info("socket")
    if connection is not None and connection.family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError):  # an older kernel: the viewer lags a little more
            connection.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, _LOWAT_BYTES)


class StuckSockets:
    """Closes sockets that take nothing of a stream for some seconds, or an answer too slowly."""

    def __init__(self, *, stuck_s: float, on_close: Callable[[], None]) -> None:
        """Watches nobody yet.

        Args:
            stuck_s: how long a stream's socket may take nothing, and the least time for an answer.
            on_close: called for each socket that is closed.
        """
        self._stuck_s, self._on_close = stuck_s, on_close
        self._backlogs: dict[asyncio.WriteTransport, _Backlog] = {}

    def add(self, transport: asyncio.WriteTransport) -> None:
        """Watches a connection until `remove`."""
        self._backlogs[transport] = _Backlog()

    def remove(self, transport: asyncio.WriteTransport) -> None:
        """Forgets a connection that is no more."""
        self._backlogs.pop(transport, None)

    @contextlib.contextmanager
    def stream(self, transport: asyncio.WriteTransport) -> Iterator[None]:
        """Expects a connection to take what it is given bit by bit, for as long as the context lasts."""
        if (backlog := self._backlogs.get(transport)) is not None:
            backlog.stream, backlog.due_s = True, math.inf
        try:
            yield
        finally:
            if backlog is not None:
                backlog.stream, backlog.due_s = False, math.inf

    async def run(self) -> None:
        """Looks at all of them again and again, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_S)
            self.look(time.monotonic())

    def look(self, now: float) -> None:
        """Closes those that are overdue at `now`, in monotonic seconds."""
        for transport, backlog in tuple(self._backlogs.items()):
            pending = transport.get_write_buffer_size()
            more = pending - backlog.pending
            if not pending:
                backlog.due_s = math.inf
            elif backlog.stream:
                if more or backlog.due_s == math.inf:
                    backlog.due_s = now + self._stuck_s
            elif backlog.due_s == math.inf:
                backlog.due_s = now + self._stuck_s + pending / _LEAST_BYTES_PER_S
            else:
                backlog.due_s += max(0, more) / _LEAST_BYTES_PER_S
            backlog.pending = pending
            if now >= backlog.due_s:
                self._close(transport)

    def close_stuck_streams(self) -> None:
        """Closes, at the end, all streams that have not taken what they were given."""
        for transport, backlog in tuple(self._backlogs.items()):
            if backlog.stream and transport.get_write_buffer_size():
                self._close(transport)

    def _close(self, transport: asyncio.WriteTransport) -> None:
        backlog = self._backlogs.pop(transport)
        _LOG.info("a client read too slowly: %d bytes were left", backlog.pending)
        self._on_close()
        connection = transport.get_extra_info("socket")
        if connection is not None:  # else the kernel would go on offering what it holds for minutes
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        transport.abort()  # close() would wait for the buffer to drain
