"""The server's progress from start to stop."""

from __future__ import annotations

import asyncio
import dataclasses


@dataclasses.dataclass
class Lifecycle:
    """The server's state; create it inside the running loop.

    Attributes:
        compiled: every batch size is compiled.
        draining: a balancer should send new work elsewhere; what comes is still done.
        stopping: no new work is accepted, streams are about to end.
        failure: why the network could not be compiled; None without a failure.
    """

    compiled: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)
    draining: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)
    stopping: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)
    failure: BaseException | None = None

    @property
    def waits_for(self) -> str:
        """Why the server is not ready, in one line; empty when it is ready."""
        if self.stopping.is_set():
            return "the server is stopping"
        if self.failure is not None:
            return "the network could not be compiled; see the log"
        return "" if self.compiled.is_set() else "the network is being compiled"
