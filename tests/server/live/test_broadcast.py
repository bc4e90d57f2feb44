from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from server.live.broadcast import Broadcast, Viewer

pytestmark = pytest.mark.timeout(30)


async def none_within(viewer: Viewer[Any], seconds: float) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(viewer), seconds)


async def test_every_viewer_gets_the_same_object():
    broadcast = Broadcast[bytes]()
    viewers = [broadcast.subscribe() for _ in range(100)]
    waiting = [asyncio.create_task(anext(viewer)) for viewer in viewers]
    await asyncio.sleep(0)
    item = b"an image"
    broadcast.publish(item)
    assert all(got is item for got in await asyncio.gather(*waiting))


async def test_a_busy_viewer_skips_to_the_newest_and_delays_nobody():
    broadcast = Broadcast[int]()
    with broadcast.subscribe() as quick, broadcast.subscribe() as busy:
        seen = []
        for number in range(1, 6):
            broadcast.publish(number)
            seen.append(await anext(quick))
        assert seen == [1, 2, 3, 4, 5]
        assert await anext(busy) == 5
        await none_within(busy, 0.01)


async def test_a_later_viewer_begins_with_the_last_item_unless_it_wants_only_new_ones():
    broadcast = Broadcast[int]()
    with broadcast.subscribe() as early:
        broadcast.publish(1)
        assert await anext(early) == 1
        with broadcast.subscribe() as late, broadcast.subscribe(replay=False) as picky:
            assert await anext(late) == 1
            await none_within(picky, 0.01)
            broadcast.publish(2)
            assert [await anext(viewer) for viewer in (early, late, picky)] == [2, 2, 2]


async def test_the_last_item_is_repeated_while_somebody_watches_a_still_image():
    broadcast = Broadcast[int](repeat_s=0.05)
    broadcast.publish(1)
    await asyncio.sleep(0.1)
    assert broadcast.version == 1  # there was no viewer
    with broadcast.subscribe() as viewer:
        began = time.monotonic()
        assert [await anext(viewer) for _ in range(3)] == [1, 1, 1]
        assert 0.09 <= time.monotonic() - began < 5
    version = broadcast.version
    await asyncio.sleep(0.1)
    assert broadcast.version == version


async def test_a_forgotten_item_is_neither_repeated_nor_shown_to_new_viewers():
    broadcast = Broadcast[int](repeat_s=0.01)
    with broadcast.subscribe() as watching, broadcast.subscribe() as busy:
        broadcast.publish(1)
        assert await anext(watching) == 1
        broadcast.forget()
        with broadcast.subscribe() as late:
            for viewer in (watching, busy, late):
                await none_within(viewer, 0.03)
        broadcast.publish(2)
        assert await anext(busy) == 2


async def test_viewers_are_counted_from_the_subscription_to_its_end():
    counts: list[int] = []
    broadcast = Broadcast[int](on_viewers=counts.append)
    first = broadcast.subscribe()
    with broadcast.subscribe():
        assert broadcast.viewers == 2
    first.close()
    first.close()
    assert counts == [1, 2, 1, 0]


async def test_a_cancelled_viewer_leaves_and_the_others_continue():
    broadcast = Broadcast[int]()

    async def watch() -> None:
        with broadcast.subscribe() as viewer:
            async for _ in viewer:
                pass

    task = asyncio.create_task(watch())
    with broadcast.subscribe() as other:
        await asyncio.sleep(0)
        assert broadcast.viewers == 2
        task.cancel()
        await asyncio.wait([task])
        assert broadcast.viewers == 1
        broadcast.publish(1)
        assert await anext(other) == 1


async def test_closing_ends_all_viewers_now_and_later():
    broadcast = Broadcast[int](repeat_s=0.01)

    async def watch() -> list[int]:
        with broadcast.subscribe() as viewer:
            return [item async for item in viewer]

    tasks = [asyncio.create_task(watch()) for _ in range(3)]
    await asyncio.sleep(0)
    broadcast.publish(1)
    await asyncio.sleep(0)
    broadcast.close()
    assert await asyncio.gather(*tasks) == [[1]] * 3
    assert await watch() == []
    assert broadcast.viewers == 0
