"""The end of the threads for image work."""

import asyncio
import threading

import pytest

from server.live import detection_threads
from server.live.detection_threads import DetectionThreads


def detecting() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("detect")}


async def test_closing_waits_for_work_that_ends() -> None:
    before = detecting()
    threads = DetectionThreads(detect_size=320, threads=1)
    started, go_on = threading.Event(), threading.Event()

    def work() -> bool:
        started.set()
        return go_on.wait(timeout=60)

    task = asyncio.create_task(threads.run(work))
    await asyncio.to_thread(started.wait, 60)
    closing = asyncio.create_task(threads.close())
    await asyncio.sleep(0)
    assert not closing.done()
    go_on.set()
    await closing
    assert await task
    assert not detecting() - before


async def test_closing_leaves_work_behind_that_takes_too_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(detection_threads, "_CLOSE_S", 0.01)
    threads = DetectionThreads(detect_size=320, threads=1)
    go_on = threading.Event()
    task = asyncio.create_task(threads.run(go_on.wait, timeout=60))
    waiting = asyncio.create_task(threads.run(go_on.wait, timeout=60))
    await asyncio.sleep(0)
    await threads.close()
    assert not task.done()
    assert waiting.cancelled()
    go_on.set()
    assert await task
