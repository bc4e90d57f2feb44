"""Browser sessions: random, kept by the server, few, and deleted when they end.

A cookie holds 256 random bits; the server stores only their digest, which names the session. Ending a
session also closes its open streams and WebSockets.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
import time
from collections.abc import Callable, Iterator

from server.access.attempts import network_of
from server.access.tokens import Role

# By the monotonic clock: a wrong system time cannot make a session last for years.
SESSION_S = 12 * 3600.0
MOST = 1024
MOST_PER_ADDRESS = 64

_CHECK_S = 5.0


class Session:
    """One log-in.

    Attributes:
        name: identifies it; not a secret, because the cookie cannot be derived from it.
        role: what the session may do.
        network: where it was opened from.
        until_s: when it ends, monotonic seconds.
    """

    def __init__(self, name: str, *, role: Role, network: str, until_s: float) -> None:
        """Starts open, without requests."""
        self.name, self.network, self.until_s = name, network, until_s
        self.role: Role = role
        self._answering: set[asyncio.BaseTransport] = set()

    @contextlib.contextmanager
    def answering(self, transport: asyncio.BaseTransport | None) -> Iterator[None]:
        """Closes a connection if the session ends before its request is answered."""
        if transport is None:  # the visitor has left
            yield
            return
        self._answering.add(transport)
        try:
            yield
        finally:
            self._answering.discard(transport)

    def hang_up(self, *, but: asyncio.BaseTransport | None) -> None:
        """Aborts the open responses on all connections but one."""
        for transport in self._answering - {but}:
            assert isinstance(transport, asyncio.WriteTransport)
            transport.abort()


class Sessions:
    """All open sessions; belongs to the event loop's thread."""

    def __init__(self, *, now: Callable[[], float] = time.monotonic) -> None:
        """Starts without sessions; `now` is in monotonic seconds."""
        self._now = now
        self._open: dict[str, Session] = {}  # by name, the oldest first

    def open(self, role: Role, *, address: str) -> str:
        """Opens a session and returns its cookie's value.

        Too many end the oldest, a viewer's before any operator's: viewers cannot log operators out.
        """
        network = network_of(address)
        there = [one for one in self._open.values() if one.network == network]
        if len(there) >= MOST_PER_ADDRESS:
            self.end(min(there, key=_is_operators))
        elif len(self._open) >= MOST:
            self.end(min(self._open.values(), key=_is_operators))
        value = secrets.token_urlsafe(32)
        name, until_s = _name(value), self._now() + SESSION_S
        self._open[name] = Session(name, role=role, network=network, until_s=until_s)
        return value

    def find(self, value: str) -> Session | None:
        """Returns the open session for a cookie's value."""
        return self.named(_name(value))

    def named(self, name: str) -> Session | None:
        """Returns the open session with that name."""
        session = self._open.get(name)
        return session if session is not None and self._now() < session.until_s else None

    def end(self, session: Session, *, but: asyncio.BaseTransport | None = None) -> None:
        """Ends a session at once and closes its connections, except `but`."""
        self._open.pop(session.name, None)
        session.hang_up(but=but)

    def end_old(self) -> None:
        """Ends all expired sessions."""
        for session in tuple(self._open.values()):
            if self._now() >= session.until_s:
                self.end(session)

    async def run(self) -> None:
        """Ends expired sessions periodically, until cancelled."""
        while True:
            await asyncio.sleep(_CHECK_S)
            self.end_old()


def _is_operators(session: Session) -> bool:
    return session.role == "operator"


def _name(value: str) -> str:
    return hashlib.sha256(value.encode("utf-8", "surrogateescape")).hexdigest()
