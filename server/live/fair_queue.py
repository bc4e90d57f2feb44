"""Queues faces for the device; their clients take turns. Pure bookkeeping."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

import numpy as np

T = TypeVar("T")


@dataclasses.dataclass(eq=False)
class Request(Generic[T]):
    """Crops of one client.

    Attributes:
        client: whose turn it uses.
        crops: uint8 [48, 48] each.
        asked_s: when it arrived, monotonic seconds.
        owner: the recipient of the answer.
        taken: how many of the crops are or were in a batch.
    """

    client: str
    crops: Sequence[np.ndarray]
    asked_s: float
    owner: T
    taken: int = 0


class Share(NamedTuple, Generic[T]):
    """The crops `first` to `end` - 1 of a request, in one batch."""

    request: Request[T]
    first: int
    end: int

    @property
    def crops(self) -> Sequence[np.ndarray]:
        """The crops themselves."""
        return self.request.crops[self.first : self.end]


class FairQueue(Generic[T]):
    """The waiting requests, by client.

    Attributes:
        queued: waiting crops.
    """

    def __init__(self) -> None:
        """Starts empty."""
        self.queued = 0
        # In the order of their turns; holds only clients with waiting crops.
        self._waiting: OrderedDict[str, deque[Request[T]]] = OrderedDict()

    def add(self, request: Request[T]) -> None:
        """Queues a request behind the others of its client."""
        self._waiting.setdefault(request.client, deque()).append(request)
        self.queued += len(request.crops)

    def remove(self, request: Request[T]) -> None:
        """Removes the rest of a request; does nothing if all of it was taken or it is gone."""
        queue = self._waiting.get(request.client, ())
        if request in queue:
            self._waiting[request.client].remove(request)
            self.queued -= len(request.crops) - request.taken
            if not queue:
                del self._waiting[request.client]

    def take(self, most: int) -> list[Share[T]]:
        """Takes up to `most` crops, as many per client; clients that got none go first next time."""
        room, shares = most, []
        while room and self._waiting:
            even = max(1, room // len(self._waiting))
            for client in tuple(self._waiting):
                taken = self._take_from(client, min(even, room), shares)
                room -= taken
                self.queued -= taken
                if not room:
                    break
        return shares

    def _take_from(self, client: str, most: int, shares: list[Share[T]]) -> int:
        queue, left = self._waiting.pop(client), most
        while queue and left:
            request = queue[0]
            first, end = request.taken, min(len(request.crops), request.taken + left)
            shares.append(Share(request, first, end))
            request.taken = end
            left -= end - first
            if end == len(request.crops):
                queue.popleft()
        if queue:
            self._waiting[client] = queue  # its next turn comes after all others
        return most - left
