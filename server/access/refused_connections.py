"""Answers clients over the limit with a 503 instead of a dropped connection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping

from server.access.admission import Full

MOST = 64  # at a time; further ones are dropped, because each costs a descriptor
_LINGER_S = 1.0  # for the client to read its response before the connection closes


class RefusedConnections:
    """Refuses connections; belongs to the event loop's thread."""

    def __init__(self, *, headers: Mapping[str, str], on_refusal: Callable[[str], None]) -> None:
        """Starts without refused connections.

        Args:
            headers: of every response.
            on_refusal: called with the stable code of each refusal.
        """
        self._headers, self._on_refusal = headers, on_refusal
        self._reading: set[_Refused] = set()

    def refuse(self, transport: asyncio.Transport, reason: Full) -> None:
        """Answers a new connection and closes it a little later."""
        self._on_refusal(reason.code)
        if len(self._reading) >= MOST:
            transport.abort()
            return
        refused = _Refused(transport, over=self._reading.discard)
        self._reading.add(refused)
        transport.set_protocol(refused)
        transport.write(self._answer(reason))
        transport.write_eof()

    def _answer(self, reason: Full) -> bytes:
        body = json.dumps({"error": {"code": reason.code, "message": str(reason)}}).encode()
        own = {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "Retry-After": "1",
            "Connection": "close",
        }
        lines = [f"{name}: {value}" for name, value in {**own, **self._headers}.items()]
        head = "\r\n".join([f"HTTP/1.1 {reason.status} Service Unavailable", *lines])
        return f"{head}\r\n\r\n".encode() + body


class _Refused(asyncio.Protocol):
    """Reads and drops what a refused client still sends; otherwise the response could be lost."""

    def __init__(self, transport: asyncio.Transport, *, over: Callable[[_Refused], None]) -> None:
        self._over = over
        self._end = asyncio.get_running_loop().call_later(_LINGER_S, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._end.cancel()
        self._over(self)
