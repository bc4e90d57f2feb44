"""Where the server is between its start and its end."""

from __future__ import annotations

import asyncio
import dataclasses


@dataclasses.dataclass
class Lifecycle:
    """Three moments, in this order; made inside the running loop.

    Attributes:
        compiled: every batch size is compiled.
        stopping: no new work is taken, streams are about to end.
        failure: why the network could not be compiled; None while all is well.
    """

    compiled: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)
    stopping: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)
    failure: BaseException | None = None

    @property
    def waits_for(self) -> str:
        """Why the server is not ready, in one line; empty when it is."""
        if self.stopping.is_set():
            return "the server is stopping"
        if self.failure is not None:
            return "the network could not be compiled; the log says why"
        return "" if self.compiled.is_set() else "the network is being compiled"
