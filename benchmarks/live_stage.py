"""Shared by all live-server measurements: a server, viewers and their figures."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from live_clients import Crowd, Seen, Server, percentile

Options = argparse.Namespace
Figures = Mapping[str, Any]  # name with unit -> a number, numbers by round, or figures
SETTLE_S = 3.0
ROUNDS = 3  # of what is compared


def open_server(options: Options, *argv: str, wait: bool = True) -> Server:
    """Starts a server with the command's checkpoint; with `wait`, returns once it is ready."""
    checkpoint = [] if options.checkpoint is None else ["--checkpoint", options.checkpoint]
    server = Server(*argv, *checkpoint)
    if wait:
        server.wait_ready()
    return server


def watch(
    server: Server, cameras: Sequence[str], seconds: float, *, never: int = 0, slow: int = 0
) -> list[Seen]:
    """Returns what one viewer of each named camera saw, alongside others that read badly."""
    seen = [Seen() for _ in cameras]
    people, whole_s = Crowd(server.port), seconds + SETTLE_S

    async def run() -> None:
        bad = [people.never_read(cameras[0], seconds=whole_s) for _ in range(never)]
        bad += [people.read_slowly(cameras[0], seconds=whole_s) for _ in range(slow)]
        good = [
            people.watch(camera, one, seconds=seconds, settle_s=SETTLE_S)
            for camera, one in zip(cameras, seen, strict=True)
        ]
        await asyncio.gather(*good, *bad)

    asyncio.run(run())
    return seen


def analyzed(server: Server) -> float:
    """Returns how many frames the server has analysed."""
    return server.figure("fer_frames_analyzed_total")


def print_viewer(name: str, seen: Seen, seconds: float) -> Figures:
    """Prints and returns a viewer's frame rate, frame ages and damaged parts."""
    p50, p95 = (1e3 * percentile(seen.ages, share) for share in (50, 95))
    rate = seen.frames / seconds
    print(
        f"  {name}: {rate:.1f} frames/s, age p50 {p50:.0f} ms, p95 {p95:.0f} ms, {seen.torn} torn"
    )
    return {"frames_a_second": rate, "age_p50_ms": p50, "age_p95_ms": p95, "torn": seen.torn}
