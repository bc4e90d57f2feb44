"""Sockets of those who watch: little is buffered for them, and who takes nothing at all is let go.

A viewer's lag is what lies between the encoder and its eyes. The kernel would buffer megabytes of old
pictures; here it gets at most what is on its way, and a new picture is written when that has gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
import time
from collections.abc import Iterator

_LOWAT_BYTES = 16 * 1024  # unsent bytes from which on the kernel says that it is full
# 25 on Linux, for which Python 3.11 has no name.
_TCP_NOTSENT_LOWAT = getattr(socket, "TCP_NOTSENT_LOWAT", 25)
_LOOK_S = 1.0


@dataclasses.dataclass
class _Look:
    """What a socket's buffer held when it was last seen to change, and when that was."""

    pending: int
    since_s: float


def buffer_little(transport: asyncio.WriteTransport) -> None:
    """Makes `drain` wait until the kernel has taken all, and the kernel take only what it can send."""
    transport.set_write_buffer_limits(high=0)
    connection = transport.get_extra_info("socket")
    if connection is not None and connection.family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError):  # an older kernel: the viewer lags a little more
            connection.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, _LOWAT_BYTES)


class StuckSockets:
    """Closes sockets that have taken nothing of what they were given for some seconds."""

    def __init__(self, *, stuck_s: float) -> None:
        """Watches nobody yet."""
        self._stuck_s = stuck_s
        self._looks: dict[asyncio.WriteTransport, _Look] = {}
        self.closed = 0

    @contextlib.contextmanager
    def watch(self, transport: asyncio.WriteTransport) -> Iterator[None]:
        """Watches a socket for as long as the context lasts."""
        self._looks[transport] = _Look(0, time.monotonic())
        try:
            yield
        finally:
            self._looks.pop(transport, None)

    async def run(self) -> None:
        """Looks at all of them again and again, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_S)
            self.look(time.monotonic())

    def look(self, now: float) -> None:
        """Closes those that are stuck at `now`, in monotonic seconds."""
        for transport, last in tuple(self._looks.items()):
            pending = transport.get_write_buffer_size()
            if not pending or pending != last.pending:
                self._looks[transport] = _Look(pending, now)
            elif now - last.since_s >= self._stuck_s:
                self._close(transport)

    def close_stuck(self) -> None:
        """Closes, at the end, all that have not taken what they were given."""
        for transport in tuple(self._looks):
            if transport.get_write_buffer_size():
                self._close(transport)

    def _close(self, transport: asyncio.WriteTransport) -> None:
        self._looks.pop(transport, None)
        self.closed += 1
        transport.abort()  # close() would wait for the buffer to drain
