"""Opens cameras for tests, waits for their states, and counts their resources."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from server.cameras.frames import Frame
from server.cameras.opening import CameraState, CapturedCamera
from server.cameras.patience import Patience
from server.settings import Settings, Source, SourceKind

FAKE_WEBCAM = (sys.executable, "-m", "tests.server.fake_webcam")
HURRIED = Patience(stall_s=0.4, restart_s=1.0, waits_s=(0.05, 0.1), steady_s=0.1)
WITHIN_S = 30.0  # a busy machine needs seconds to start a process


@asynccontextmanager
async def opened(
    kind: SourceKind,
    where: str,
    *,
    patience: Patience = HURRIED,
    unpaced: bool = False,
    watched: bool = True,
    command: tuple[str, ...] | None = None,
) -> AsyncIterator[CapturedCamera]:
    source = Source("cam", kind, where, "masked")
    settings = Settings(sources=(source,), width=160, height=120, unpaced=unpaced)
    options = {} if command is None else {"command": command}
    camera = CapturedCamera(source, settings=settings, patience=patience, **options)
    camera.set_demand(watched)
    await camera.start()
    try:
        yield camera
    finally:
        await camera.close()


@asynccontextmanager
async def webcam(node: Path, *, patience: Patience = HURRIED) -> AsyncIterator[CapturedCamera]:
    async with opened("device", str(node), patience=patience, command=FAKE_WEBCAM) as camera:
        yield camera


async def frame_of(camera: CapturedCamera) -> Frame:
    return await asyncio.wait_for(camera.slot.get(), WITHIN_S)


async def until(camera: CapturedCamera, wanted: Callable[[CameraState], bool]) -> CameraState:
    """Waits for a state with the camera's own event, taking frames meanwhile."""

    async def look() -> CameraState:
        version = camera.version
        while not wanted(camera.state):
            version = await camera.wait_changed(version)
        return camera.state

    async def drain() -> None:
        while True:
            await camera.slot.get()

    draining = asyncio.create_task(drain())
    try:
        return await asyncio.wait_for(look(), WITHIN_S)
    finally:
        draining.cancel()
        await asyncio.wait([draining])


def status_is(*statuses: str) -> Callable[[CameraState], bool]:
    return lambda state: state.status in statuses


def belongings() -> tuple[int, int]:
    """The numbers of descriptors and threads of this process."""
    return len(os.listdir("/proc/self/fd")), threading.active_count()


def children() -> set[int]:
    listed = Path(f"/proc/self/task/{os.getpid()}/children")
    return {int(pid) for pid in listed.read_text().split()}


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False
