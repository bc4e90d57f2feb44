from __future__ import annotations

import asyncio
import contextlib
import random
import threading
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from server.access.load_shedding import QueueFull
from server.live.batcher import Batcher, BatcherClosed, BatchReport, DeadlinePassed

pytestmark = pytest.mark.timeout(30)

MAX = 4


def crops(*numbers: int) -> list[np.ndarray]:
    """Crops that encode their number."""
    faces = []
    for number in numbers:
        face = np.zeros((48, 48), np.uint8)
        face[0, :2] = divmod(number, 256)
        faces.append(face)
    return faces


def answers(rows: np.ndarray) -> np.ndarray:
    """Seven values that depend only on each row's number."""
    numbers = rows[:, 0, 0].astype(np.float32) * 256 + rows[:, 0, 1]
    return numbers[:, None] + np.arange(7, dtype=np.float32) / 10


class Device:
    """Runs batches at once or, while held, one per `let_go`; remembers them."""

    def __init__(self, *, held: bool = False) -> None:
        self.batches: list[list[int]] = []
        self.began = threading.Semaphore(0)
        self._held, self._gate = held, threading.Semaphore(0)
        self.failure: Exception | None = None

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        self.batches.append([int(r[0, 0]) * 256 + int(r[0, 1]) for r in rows])
        self.began.release()
        if self._held:
            assert self._gate.acquire(timeout=20)
        if self.failure is not None:
            raise self.failure
        return answers(rows)

    async def works(self) -> None:
        assert await asyncio.to_thread(self.began.acquire, True, 20)

    def let_go(self, batches: int = 1) -> None:
        self._gate.release(batches)

    def release(self) -> None:
        self._held = False
        self._gate.release(1000)


async def settled() -> None:
    """Lets everything that is ready run."""
    for _ in range(10):
        await asyncio.sleep(0)


def ask(batcher: Batcher, numbers: Sequence[int], *, client: str = "a", **options: Any):
    return asyncio.create_task(batcher.predict(crops(*numbers), client=client, **options))


def assert_answers(values: np.ndarray, numbers: Sequence[int]) -> None:
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, answers(np.stack(crops(*numbers))))


@pytest.mark.parametrize("count", range(MAX + 2))
async def test_every_number_of_crops_up_to_one_more_than_a_batch_is_answered_in_order(count):
    device = Device()
    batcher = Batcher(device, max_batch=MAX)
    numbers = list(range(300, 300 + count))
    values = await batcher.predict(crops(*numbers), client="a")
    assert values.shape == (count, 7)
    if count:
        assert_answers(values, numbers)
    assert [len(batch) for batch in device.batches] == {0: [], 5: [4, 1]}.get(count, [count])
    await batcher.close()


async def test_an_idle_device_starts_at_once_and_later_requests_share_the_next_batch():
    device, reports = Device(held=True), list[BatchReport]()
    batcher = Batcher(device, max_batch=MAX, on_batch=reports.append)
    first = ask(batcher, [1])
    await device.works()
    others = [ask(batcher, [2, 3], client="b"), ask(batcher, [4], client="c")]
    await settled()
    assert batcher.queued == 3
    device.release()
    for task, numbers in zip([first, *others], ([1], [2, 3], [4]), strict=True):
        assert_answers(await task, numbers)
    assert device.batches == [[1], [2, 3, 4]]
    await batcher.close()
    assert [(report.rows, report.clients, report.left) for report in reports] == [
        (1, 1, 3),
        (3, 2, 0),
    ]


async def test_two_batches_run_at_once_where_allowed_until_an_urgent_camera_comes():
    device = Device(held=True)
    batcher = Batcher(device, max_batch=MAX, under_way=2)
    first = ask(batcher, [1])
    await device.works()
    second = ask(batcher, [2], client="b")
    await device.works()  # although the first is still running
    third = ask(batcher, [3], client="c")
    await settled()
    assert device.batches == [[1], [2]]
    hurried = ask(batcher, [4], client="d", live=True, deadline_s=time.monotonic() + 60)
    await settled()
    device.let_go(2)
    await asyncio.gather(first, second)
    await device.works()
    await settled()
    assert len(device.batches) == 3  # one at a time now
    later = ask(batcher, [5], client="e")
    await settled()
    assert len(device.batches) == 3
    device.release()
    for task, number in ((third, 3), (hurried, 4), (later, 5)):
        assert_answers(await task, [number])
    assert sorted(number for batch in device.batches for number in batch) == [1, 2, 3, 4, 5]
    await batcher.close()


async def test_clients_take_turns_so_that_a_large_request_delays_nobody():
    device = Device(held=True)
    batcher = Batcher(device, max_batch=MAX)
    large = ask(batcher, range(20), client="greedy")
    await device.works()
    small = [ask(batcher, [100 + k], client=f"camera {k}") for k in range(6)]
    await settled()
    device.release()
    await asyncio.gather(large, *small)
    assert device.batches[0] == [0, 1, 2, 3]
    # Seven clients wait for four places: nobody is served twice before all were served once.
    turns = [number for batch in device.batches[1:3] for number in batch]
    assert {*range(100, 106)} <= {*turns}
    assert_answers(large.result(), range(20))
    await batcher.close()


@pytest.mark.parametrize("steps", range(8))
@pytest.mark.parametrize("count", [1, MAX, 3 * MAX])
@pytest.mark.parametrize("under_way", [1, 2])
async def test_a_request_cancelled_at_any_step_harms_no_other_and_leaves_nothing_behind(
    under_way, count, steps
):
    device = Device()
    batcher = Batcher(device, max_batch=MAX, under_way=under_way)
    before = ask(batcher, [901, 902], client="b")
    doomed = ask(batcher, range(count))
    after = ask(batcher, [903], client="b")
    for _ in range(steps):
        await asyncio.sleep(0)
    doomed.cancel()
    assert_answers(await before, [901, 902])
    assert_answers(await after, [903])
    with contextlib.suppress(asyncio.CancelledError):  # it may have finished before
        assert_answers(await doomed, range(count))
    assert_answers(await batcher.predict(crops(7), client="a"), [7])
    assert batcher.queued == 0
    await batcher.close()


@pytest.mark.parametrize("finished", [0, 1, 2])
async def test_the_rest_of_a_cancelled_request_is_not_computed(finished):
    device = Device(held=True)
    batcher = Batcher(device, max_batch=MAX)
    doomed = ask(batcher, range(4 * MAX))
    await device.works()
    for _ in range(finished):
        device.let_go()
        await device.works()
    doomed.cancel()
    await settled()
    assert batcher.queued == 0
    device.release()
    await batcher.close()
    assert len(device.batches) == finished + 1
    assert doomed.cancelled()


async def test_a_request_cancelled_as_its_answer_arrives_is_cancelled_or_answered():
    device = Device(held=True)
    tasks: list[asyncio.Task[np.ndarray]] = []
    # Called by the batcher right after it has answered, before any client could wake up.
    batcher = Batcher(device, max_batch=MAX, on_batch=lambda report: tasks[0].cancel() and None)
    tasks.append(ask(batcher, [1]))
    await device.works()
    tasks.append(ask(batcher, [2], client="b"))
    await settled()
    device.let_go()
    await device.works()
    assert tasks[0].cancelled()
    device.let_go()
    assert_answers(await tasks[1], [2])
    await batcher.close()


async def test_a_deadline_that_passes_in_the_queue_or_on_the_device_ends_the_wait():
    device = Device(held=True)
    batcher = Batcher(device, max_batch=MAX)
    soon = time.monotonic() + 1
    working = ask(batcher, [1], deadline_s=soon)
    await device.works()
    waiting = ask(batcher, [2, 3], client="b", deadline_s=soon)
    patient = ask(batcher, [4], client="c", deadline_s=soon + 60)
    for task in (working, waiting):
        with pytest.raises(DeadlinePassed):
            await task
    assert batcher.queued == 1
    with pytest.raises(DeadlinePassed):
        await batcher.predict(crops(5), client="a", deadline_s=time.monotonic() - 1)
    device.release()
    assert_answers(await patient, [4])
    assert device.batches == [[1], [4]]
    await batcher.close()


async def test_a_full_queue_refuses_visitors_with_a_retry_time_but_never_a_camera():
    device = Device(held=True)
    batcher = Batcher(device, max_batch=MAX, max_queued=8)
    tasks = [ask(batcher, [0])]
    await device.works()
    tasks += [
        ask(batcher, range(9), client="large"),
        ask(batcher, [20], client="camera", live=True),
    ]
    await settled()
    assert batcher.queued == 10  # a request larger than the queue is accepted when nothing waits
    with pytest.raises(QueueFull) as refusal:
        await batcher.predict(crops(1), client="b")
    assert 0 < refusal.value.retry_after_s < 10
    device.release()
    await asyncio.gather(*tasks)
    await batcher.predict(crops(1), client="b")
    await batcher.close()


@pytest.mark.parametrize(("within_s", "largest"), [(30.0, {3, 4}), (None, {32})])  # 4 take 20 ms
async def test_batches_are_kept_short_while_an_urgent_camera_is_served(within_s, largest):
    sizes: list[int] = []

    def slow(rows: np.ndarray) -> np.ndarray:
        sizes.append(len(rows))
        time.sleep(0.005 * len(rows))
        return answers(rows)

    batcher = Batcher(slow, max_batch=32)
    await batcher.predict(crops(*range(32)), client="a")
    assert sizes == [32]
    sizes.clear()
    upload = ask(batcher, range(32))
    deadline_s = None if within_s is None else time.monotonic() + within_s
    await batcher.predict(crops(99), client="camera", live=True, deadline_s=deadline_s)
    await upload
    assert max(sizes) in largest
    await batcher.close()


async def test_a_device_failure_is_reported_to_its_batch_and_the_next_batch_is_served():
    device = Device(held=True)
    batcher = Batcher(device, max_batch=MAX)
    device.failure = RuntimeError("out of memory")
    failing = [ask(batcher, range(6)), ask(batcher, [9], client="b")]
    await device.works()
    waiting = ask(batcher, [10], client="c")
    await settled()
    device.let_go()
    for task in failing:
        with pytest.raises(RuntimeError, match="out of memory"):
            await task
    device.failure = None
    device.release()
    assert_answers(await waiting, [10])
    assert batcher.queued == 0
    await batcher.close()


@pytest.mark.parametrize("under_way", [1, 2])
async def test_closing_answers_queued_requests_and_refuses_new_ones(under_way):
    device = Device(held=True)
    batcher = Batcher(device, max_batch=MAX, under_way=under_way)
    taken = ask(batcher, range(2 * MAX))
    await device.works()
    closing = asyncio.create_task(batcher.close())
    await settled()
    with pytest.raises(BatcherClosed):
        await batcher.predict(crops(1), client="b")
    assert not closing.done()
    device.release()
    assert_answers(await taken, range(2 * MAX))
    await closing
    await batcher.close()


@pytest.mark.parametrize("bad", [np.zeros((48, 48), np.float32), np.zeros((48, 47), np.uint8)])
async def test_crops_of_another_shape_or_dtype_are_refused(bad):
    batcher = Batcher(Device())
    with pytest.raises(ValueError, match="48"):
        await batcher.predict([bad], client="a")
    await batcher.close()


@pytest.mark.parametrize("under_way", [1, 3])
async def test_many_clients_with_random_requests_and_cancellations_get_their_own_answers(under_way):
    rng = random.Random(0)
    batcher = Batcher(Device(), max_batch=8, max_queued=10_000, under_way=under_way)
    answered = 0

    async def client(name: str) -> None:
        nonlocal answered
        for _ in range(25):
            numbers = [rng.randrange(60_000) for _ in range(rng.randrange(1, 20))]
            task = ask(batcher, numbers, client=name)
            if rng.random() < 0.3:
                await asyncio.sleep(rng.random() * 0.002)
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                assert_answers(await task, numbers)
                answered += 1

    await asyncio.gather(*(client(f"client {k}") for k in range(8)))
    assert answered >= 100
    assert batcher.queued == 0
    await batcher.close()
