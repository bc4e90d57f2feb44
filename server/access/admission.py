"""Limits how many clients are admitted at a time, in total and per address."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
from collections.abc import Iterator

from server.access.attempts import network_of

_ADDRESS_TO_SESSION = 4  # several people behind one address have a session each


class Full(Exception):  # noqa: N818
    """The limit is reached. `status` and `code` are those of the HTTP response."""

    def __init__(self, message: str, *, status: int, code: str) -> None:
        """See the attributes."""
        super().__init__(message)
        self.status, self.code = status, code


@dataclasses.dataclass(frozen=True)
class Client:
    """The client a place is counted for.

    Attributes:
        address: the visitor's.
        session: names the session, if there is one; it counts instead of the address, so that people
            behind one address do not take each other's places.
        shared: whether it is a proxy's connection, which carries requests of many visitors.
    """

    address: str
    session: str = ""
    shared: bool = False

    @property
    def name(self) -> str:
        """Identifies this client in turns and limits."""
        return self.session or network_of(self.address)


class Admission:
    """Counts admitted clients; belongs to the event loop's thread."""

    def __init__(
        self, what: str, *, most: int, most_per_address: int, status: int, code: str
    ) -> None:
        """Starts empty.

        Args:
            what: what is counted, for the message.
            most: the limit in total.
            most_per_address: the limit for an address without a session, and for a session.
            status, code: of the error.
        """
        self._what, self._status, self._code = what, status, code
        self._most, self._most_per_address = most, most_per_address
        self._inside: collections.Counter[str] = collections.Counter()  # "": the total
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def inside(self) -> int:
        """The number of admitted clients."""
        return self._inside[""]

    @contextlib.contextmanager
    def admit(self, client: Client) -> Iterator[None]:
        """Admits a client for the duration of the context.

        Raises:
            Full: there are too many already.
        """
        place = self.enter(client)
        try:
            yield
        finally:
            self.leave(place)

    def enter(self, client: Client) -> tuple[str, ...]:
        """Admits a client and returns the place to pass to `leave`.

        Raises:
            Full: there are too many already.
        """
        limits = self._limits(client)
        for name, most, where in (("", self._most, ""), *limits):
            if self._inside[name] >= most:
                message = f"there are {most} {self._what}{where} already; try again later"
                raise Full(message, status=self._status, code=self._code)
        place = ("", *(name for name, _, _ in limits))
        self._inside.update(place)
        self._empty.clear()
        return place

    def leave(self, place: tuple[str, ...]) -> None:
        """Frees a place."""
        for name in place:
            self._inside[name] -= 1
            if not self._inside[name]:
                del self._inside[name]
        if not self._inside:
            self._empty.set()

    async def wait_empty(self) -> None:
        """Waits until no client is admitted."""
        await self._empty.wait()

    def _limits(self, client: Client) -> tuple[tuple[str, int, str], ...]:
        """What a client counts under besides the total: name, limit, and the message's suffix."""
        if client.shared:
            return ()
        network, most = network_of(client.address), self._most_per_address
        if not client.session:
            return ((f"address {network}", most, " from this address"),)
        return (
            (f"session {client.session}", most, " from this session"),
            (f"sessions at {network}", _ADDRESS_TO_SESSION * most, " from this address"),
        )
