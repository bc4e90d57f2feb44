"""How many may be inside at a time, in all and from one address."""

from __future__ import annotations

import asyncio
import collections
import contextlib
from collections.abc import Iterator

from server.access.tokens import network_of


class Full(Exception):  # noqa: N818
    """There is no room. `status` and `code` say how HTTP answers."""

    def __init__(self, message: str, *, status: int, code: str) -> None:
        """See the attributes."""
        super().__init__(message)
        self.status, self.code = status, code


class Admission:
    """Counts who is inside; belongs to the event loop's thread."""

    def __init__(
        self, what: str, *, most: int, most_per_address: int, status: int, code: str
    ) -> None:
        """Starts empty.

        Args:
            what: of what there can be too many, for the message.
            most, most_per_address: how many there may be.
            status, code: of the refusal.
        """
        self._what, self._status, self._code = what, status, code
        self._most, self._most_per_address = most, most_per_address
        self._inside: collections.Counter[str] = collections.Counter()
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def inside(self) -> int:
        """How many there are."""
        return self._inside.total()

    @contextlib.contextmanager
    def admit(self, address: str) -> Iterator[None]:
        """Lets one in for as long as the context lasts.

        Raises:
            Full: there are too many already.
        """
        network = self.enter(address)
        try:
            yield
        finally:
            self.leave(network)

    def enter(self, address: str) -> str:
        """Lets one in and returns what `leave` wants to hear.

        Raises:
            Full: there are too many already.
        """
        network = network_of(address)
        for count, most, where in (
            (self.inside, self._most, ""),
            (self._inside[network], self._most_per_address, " from this address"),
        ):
            if count >= most:
                message = f"there are {most} {self._what}{where} already; try again later"
                raise Full(message, status=self._status, code=self._code)
        self._inside[network] += 1
        self._empty.clear()
        return network

    def leave(self, network: str) -> None:
        """Lets one out."""
        self._inside[network] -= 1
        if not self._inside[network]:
            del self._inside[network]
        if not self._inside:
            self._empty.set()

    async def wait_empty(self) -> None:
        """Returns when nobody is inside."""
        await self._empty.wait()
