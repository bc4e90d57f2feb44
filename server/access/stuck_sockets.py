"""Slow readers: little is buffered for viewers, and stalled clients are disconnected.

Buffered images delay what a viewer sees. The kernel would buffer megabytes of old images; here it gets
only what is being sent, and a new image is written once that has gone.

Ordinary responses have a deadline: a client that does not read would hold its socket for ever.
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
import weakref
from collections.abc import Callable, Iterator

_LOG = logging.getLogger(__name__)

_LOWAT_BYTES = 16 * 1024  # of unsent bytes, from which the kernel reports the socket as full
# 25 on Linux, for which Python 3.11 has no name.
_TCP_NOTSENT_LOWAT = getattr(socket, "TCP_NOTSENT_LOWAT", 25)
_LEAST_BYTES_PER_S = 16 * 1024  # minimum rate at which a client must read an ordinary response
_NO_LINGER = struct.pack("ii", 1, 0)
_CHECK_S = 1.0


@dataclasses.dataclass
class _Backlog:
    """The state of a socket's buffer at the last check, and its deadline.

    Attributes:
        pending: bytes not sent yet.
        stream: whether they belong to an endless response.
        due_s: by when a stream must have read something, another response all, monotonic seconds.
    """

    pending: int = 0
    stream: bool = False
    due_s: float = math.inf


def buffer_little(transport: asyncio.WriteTransport) -> None:
    """Makes `drain` wait until the kernel has all bytes, and the kernel accept only what it can send."""
    transport.set_write_buffer_limits(high=0)
    connection = transport.get_extra_info("socket")
    if connection is not None and connection.family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError):  # an older kernel: the viewer lags a little more
            connection.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, _LOWAT_BYTES)


class StuckSockets:
    """Closes sockets that read nothing of a stream for some seconds, or a response too slowly."""

    def __init__(self, *, stuck_s: float, on_close: Callable[[], None]) -> None:
        """Starts without connections.

        Args:
            stuck_s: how long a stream's socket may read nothing, and the least time for a response.
            on_close: called for each closed socket.
        """
        self._stuck_s, self._on_close = stuck_s, on_close
        self._backlogs: dict[asyncio.WriteTransport, _Backlog] = {}
        self._closed: weakref.WeakSet[asyncio.WriteTransport] = weakref.WeakSet()

    def add(self, transport: asyncio.WriteTransport) -> None:
        """Watches a connection until `remove`."""
        self._backlogs[transport] = _Backlog()

    def remove(self, transport: asyncio.WriteTransport) -> None:
        """Stops watching a connection."""
        self._backlogs.pop(transport, None)

    def has_closed(self, transport: asyncio.WriteTransport) -> bool:
        """Whether a connection was closed because it was read too slowly."""
        return transport in self._closed

    @contextlib.contextmanager
    def stream(self, transport: asyncio.WriteTransport) -> Iterator[None]:
        """Treats a connection as a stream, to be read bit by bit, for the duration of the context."""
        if (backlog := self._backlogs.get(transport)) is not None:
            backlog.stream, backlog.due_s = True, math.inf
        try:
            yield
        finally:
            if backlog is not None:
                backlog.stream, backlog.due_s = False, math.inf

    async def run(self) -> None:
        """Checks all connections periodically, until cancelled."""
        while True:
            await asyncio.sleep(_CHECK_S)
            self.check(time.monotonic())

    def check(self, now: float) -> None:
        """Closes the connections that are overdue at `now`, in monotonic seconds."""
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
        """Closes, at shutdown, all streams with unsent bytes."""
        for transport, backlog in tuple(self._backlogs.items()):
            if backlog.stream and transport.get_write_buffer_size():
                self._close(transport)

    def _close(self, transport: asyncio.WriteTransport) -> None:
        backlog = self._backlogs.pop(transport)
        self._closed.add(transport)
        _LOG.info("a client read too slowly: %d bytes were left", backlog.pending)
        self._on_close()
        connection = transport.get_extra_info("socket")
        if connection is not None:  # or the kernel would retry its buffered bytes for minutes
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        transport.abort()  # close() would wait for the buffer to drain
