"""Repeatedly kills, freezes and unplugs a camera's capture process while another camera keeps running.

    python benchmarks/live_faults.py --times 50

The usual timeouts apply: a frozen process is given up after 5 s, so 50 faults of each kind take 14
minutes; --hurried shortens the timeouts. Needs no webcam: tests/server/fake_webcam.py plays one and
replaces only the driver. The exit code is 1 if anything did not recover.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from server.cameras.opening import CapturedCamera
from server.cameras.patience import Patience
from server.settings import Settings, Source

WEBCAM = (sys.executable, "-m", "tests.server.fake_webcam")
HURRIED = Patience(stall_s=0.5, restart_s=1.0, waits_s=(0.1,), steady_s=0.5)
LOST_S = 60.0  # not back by then: it will not recover

Fault = Callable[[], None]


class Bench:
    """One camera to break, and one that must not be affected."""

    def __init__(self, node: Path, patience: Patience) -> None:
        """Makes both cameras; `node` replaces /dev/video0."""
        hurt = Source("hurt", "device", str(node), "hurt")
        other = Source("other", "demo", "demo", "demo")
        settings = Settings(sources=(hurt, other))
        self.node = node
        self.hurt = CapturedCamera(hurt, settings=settings, patience=patience, command=WEBCAM)
        self.other = CapturedCamera(other, settings=settings)
        self.gap_s = 0.0  # the other camera's longest gap between images
        self._frame_s, self._came = 0.0, asyncio.Event()
        self._steady_s = patience.steady_s

    async def run(self, times: int) -> bool:
        """Returns whether everything recovered each time."""
        self.plug_in()
        eaters = [asyncio.create_task(self._eat_hurt()), asyncio.create_task(self._eat_other())]
        for camera in (self.hurt, self.other):
            camera.set_demand(True)
            await camera.start()
        await self._image_after(0.0)
        faults: dict[str, tuple[Fault, Fault]] = {
            "kill -9": (lambda: self._signal(signal.SIGKILL), lambda: None),
            "SIGSTOP": (lambda: self._signal(signal.SIGSTOP), lambda: None),
            "unplug": (self.node.unlink, self.plug_in),
        }
        before = belongings()
        fine = True
        for name, (fault, repair) in faults.items():
            took: list[float] = []
            for _ in range(times):
                took.append(await self._hurt(fault, repair))
            after = await settled(before)
            back = sum(seconds < LOST_S for seconds in took)
            fine &= back == times and after == before
            print(
                f"{name:8} {back} of {times} times back, after {statistics.median(took):.2f} s "
                f"(median), {max(took):.2f} s at most; now {after}",
                flush=True,
            )
        print(f"the other camera's longest gap: {self.gap_s * 1000:.0f} ms")
        await asyncio.gather(self.hurt.close(), self.other.close())
        for eater in eaters:
            eater.cancel()
        return fine

    def plug_in(self) -> None:
        """Puts the webcam's device file in place."""
        self.node.write_text("")

    async def _hurt(self, fault: Fault, repair: Fault) -> float:
        """Causes one fault; returns the seconds until the next image from another process."""
        await asyncio.sleep(
            1.1 * self._steady_s
        )  # a healthy camera breaks, not a breaking one again
        pid, version, began_s = self.hurt.pid, self.hurt.version, time.monotonic()
        fault()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOST_S):
                while self.hurt.pid == pid:
                    version = await self.hurt.wait_changed(version)
                repair()
                await self._image_after(time.monotonic())
        return time.monotonic() - began_s

    async def _image_after(self, moment_s: float) -> None:
        while self._frame_s <= moment_s:
            self._came.clear()
            await self._came.wait()

    def _signal(self, number: signal.Signals) -> None:
        if self.hurt.pid is not None:
            os.kill(self.hurt.pid, number)

    async def _eat_hurt(self) -> None:
        while True:
            self._frame_s = (await self.hurt.slot.get()).captured_s
            self._came.set()

    async def _eat_other(self) -> None:
        before_s = (await self.other.slot.get()).captured_s
        while True:
            captured_s = (await self.other.slot.get()).captured_s
            self.gap_s, before_s = max(self.gap_s, captured_s - before_s), captured_s


def belongings() -> str:
    """Describes the resources of this process."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    descriptors, shared = os.listdir("/proc/self/fd"), os.listdir("/dev/shm")
    return (
        f"{len(children)} processes, {len(descriptors)} descriptors, "
        f"{threading.active_count()} threads, {len(shared)} shared memory segments"
    )


async def settled(expected: str) -> str:
    """Returns the resources, after allowing two seconds for those being released."""
    for _ in range(20):
        if belongings() == expected:
            break
        await asyncio.sleep(0.1)
    return belongings()


async def measure(times: int, patience: Patience) -> int:
    """Runs the faults; returns the exit code."""
    await asyncio.sleep(0)
    before = belongings()
    print(f"before: {before}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        fine = await Bench(Path(folder) / "video0", patience).run(times)
    after = await settled(before)
    print(f"after:  {after}")
    print("always back, nothing left behind" if fine and after == before else "FAILED")
    return 0 if fine and after == before else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=50, help="of each fault")
    parser.add_argument("--hurried", action="store_true", help="give up and try again sooner")
    flags = parser.parse_args()
    sys.exit(asyncio.run(measure(flags.times, HURRIED if flags.hurried else Patience())))
