"""Runs faces of all cameras and requests through the network in batches.

Nothing waits while the device is idle; crops that arrive while it is busy go into the next batch, and
clients take turns. All but the device call runs on the event loop's thread, which needs no locks.

While a camera with deadlines is served, one batch is computed at a time and kept short, so that the
camera's next face does not wait long. Otherwise several may be in flight: with two, an unpaced video of
two or three faces a frame is analysed 1.17 times as fast on two cores.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import dataclasses
import math
import time
from collections.abc import Callable, Sequence

import numpy as np

from fer_jax.expressions import NUM_EXPRESSIONS
from fer_jax.faces.preprocess import FACE_SIZE
from server.access.load_shedding import QueueFull
from server.live.fair_queue import FairQueue, Request, Share

_LIVE_BATCH_S = 0.02  # the longest one while a camera with deadlines is served
_LIVE_MEMORY_S = 1.0
_RATE_MEMORY = 0.9  # weight of the past in the estimate of seconds per row


class DeadlinePassed(Exception):  # noqa: N818
    """The answer did not come in time; the rest of the request is not computed."""


class BatcherClosed(Exception):  # noqa: N818
    """The server is stopping; the request was not accepted."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Answer:
    """The answer to one request.

    Attributes:
        probabilities: float32 [N, 7].
        queue_s: seconds until the device started its last crops.
        predict_s: seconds that batch took.
    """

    probabilities: np.ndarray
    queue_s: float
    predict_s: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class BatchReport:
    """One finished batch: its rows and clients, the rows still waiting, and seconds on the device."""

    rows: int
    clients: int
    left: int
    seconds: float


@dataclasses.dataclass(eq=False)
class _Waiter:
    """The waiting caller of a request: `answered` of its `probabilities` are filled in."""

    future: asyncio.Future[Answer]
    probabilities: np.ndarray
    answered: int = 0


_Share = Share[_Waiter]


class Batcher:
    """Runs a batched function for many clients."""

    def __init__(
        self,
        predict: Callable[[np.ndarray], np.ndarray],
        *,
        max_batch: int = 32,
        max_queued: int = 256,
        under_way: int = 1,
        on_batch: Callable[[BatchReport], None] = lambda report: None,
    ) -> None:
        """Creates the device's threads; create it inside the running event loop.

        Args:
            predict: uint8 [B, 48, 48] -> float32 [B, 7], row by row; 1 <= B <= `max_batch`.
            max_batch: rows of the largest batch.
            max_queued: crops that may wait; a larger request is accepted when nothing else waits.
            under_way: batches in flight, one thread each, unless a camera with deadlines is served.
            on_batch: called on the event loop after each batch.
        """
        self._predict, self._on_batch = predict, on_batch
        self._max_batch, self._max_queued = max_batch, max_queued
        self._loop = asyncio.get_running_loop()
        self._under_way = under_way
        self._device = concurrent.futures.ThreadPoolExecutor(under_way, thread_name_prefix="device")
        self._turns: FairQueue[_Waiter] = FairQueue()
        self._workers: set[asyncio.Task[None]] = set()
        self._closed = False
        self._recent_rows, self._recent_s = 1.0, 0.002  # a guess until the first batches finish
        self._last_live_s = -math.inf

    @property
    def queued(self) -> int:
        """Crops waiting for the device."""
        return self._turns.queued

    async def predict(
        self,
        crops: Sequence[np.ndarray],
        *,
        client: str,
        deadline_s: float | None = None,
        live: bool = False,
    ) -> np.ndarray:
        """Returns float32 [N, 7] for N crops; see `answer`."""
        answer = await self.answer(crops, client=client, deadline_s=deadline_s, live=live)
        return answer.probabilities

    async def answer(
        self,
        crops: Sequence[np.ndarray],
        *,
        client: str,
        deadline_s: float | None = None,
        live: bool = False,
    ) -> Answer:
        """Returns the probabilities of N crops and how long they took.

        Args:
            crops: uint8 [48, 48] each, grey; they may be spread over several batches.
            client: whose turn it is: a camera's name, a visitor's address.
            deadline_s: when the answer becomes useless, in monotonic seconds.
            live: whether this is a camera, which has few frames in flight and is never refused.

        Raises:
            QueueFull: too many crops are waiting already.
            DeadlinePassed: it took too long.
            BatcherClosed: `close` was called.
        """
        now = time.monotonic()
        if self._closed:
            raise BatcherClosed("the server is stopping")
        if any(crop.shape != (FACE_SIZE, FACE_SIZE) or crop.dtype != np.uint8 for crop in crops):
            raise ValueError(f"crops must be uint8 [{FACE_SIZE}, {FACE_SIZE}]")
        probabilities = np.empty((len(crops), NUM_EXPRESSIONS), np.float32)
        if not crops:
            return Answer(probabilities=probabilities, queue_s=0.0, predict_s=0.0)
        queued = self._turns.queued
        if not live and queued and queued + len(crops) > self._max_queued:
            raise QueueFull(queued * self._row_s())
        if deadline_s is not None and deadline_s <= now:
            raise DeadlinePassed("the deadline had passed already")
        if live and deadline_s is not None:
            self._last_live_s = now
        waiter = _Waiter(self._loop.create_future(), probabilities)
        request = Request(client, crops, now, waiter)
        self._turns.add(request)
        if len(self._workers) < self._most_under_way():
            # A task starts in the loop's next iteration, so requests made in this one join the batch.
            self._workers.add(self._loop.create_task(self._work()))
        try:
            wait_s = None if deadline_s is None else deadline_s - now
            done, _ = await asyncio.wait((waiter.future,), timeout=wait_s)
            if not done:
                raise DeadlinePassed(f"no answer within {wait_s:.3f} s")
            return waiter.future.result()
        finally:
            waiter.future.cancel()
            self._turns.remove(request)

    async def close(self) -> None:
        """Refuses new requests, finishes the pending ones and ends the device's threads."""
        self._closed = True
        while self._workers:
            await asyncio.wait(self._workers)
        self._device.shutdown(wait=False)

    async def _work(self) -> None:
        """Runs batches one after the other until nothing waits or enough other batches run."""
        try:
            while self._turns.queued and len(self._workers) <= self._most_under_way():
                shares = self._turns.take(self._most_rows())
                rows = np.stack([crop for share in shares for crop in share.crops])
                began_s = time.monotonic()
                try:
                    values = await self._loop.run_in_executor(self._device, self._predict, rows)
                    if values.shape != (len(rows), NUM_EXPRESSIONS):
                        raise ValueError(f"{len(rows)} rows gave an answer of {values.shape}")
                except Exception as error:  # noqa: BLE001 - passed to everyone whose crops these were
                    self._fail(shares, error)
                    continue
                seconds = time.monotonic() - began_s
                self._deliver(shares, values, began_s=began_s, seconds=seconds)
                self._report(shares, len(rows), seconds)
        finally:
            # At once: a request made before a done callback ran would find no batch to wait for.
            self._workers -= {asyncio.current_task()}

    def _most_under_way(self) -> int:
        return 1 if self._serves_live() else self._under_way

    def _most_rows(self) -> int:
        if not self._serves_live():
            return self._max_batch
        return min(self._max_batch, max(1, int(_LIVE_BATCH_S / self._row_s())))

    def _serves_live(self) -> bool:
        """Whether there is a camera with deadlines, which needs its answers soon."""
        return time.monotonic() - self._last_live_s <= _LIVE_MEMORY_S

    def _row_s(self) -> float:
        return self._recent_s / self._recent_rows

    def _deliver(
        self, shares: Sequence[_Share], values: np.ndarray, *, began_s: float, seconds: float
    ) -> None:
        row = 0
        for request, first, end in shares:
            waiter = request.owner
            waiter.probabilities[first:end] = values[row : row + end - first]
            waiter.answered += end - first
            row += end - first
            if waiter.answered == len(request.crops) and not waiter.future.done():
                queue_s = began_s - request.asked_s
                waiter.future.set_result(
                    Answer(probabilities=waiter.probabilities, queue_s=queue_s, predict_s=seconds)
                )

    def _fail(self, shares: Sequence[_Share], error: Exception) -> None:
        for request, _, _ in shares:
            self._turns.remove(request)
            if not request.owner.future.done():
                request.owner.future.set_exception(error)

    def _report(self, shares: Sequence[_Share], rows: int, seconds: float) -> None:
        self._recent_rows = _RATE_MEMORY * self._recent_rows + rows
        self._recent_s = _RATE_MEMORY * self._recent_s + seconds
        clients = len({share.request.client for share in shares})
        self._on_batch(
            BatchReport(rows=rows, clients=clients, left=self._turns.queued, seconds=seconds)
        )
