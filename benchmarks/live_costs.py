"""The server's cost per frame by kind of stream."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Sequence

from live_clients import Crowd, Server
from live_stage import ROUNDS, SETTLE_S, Figures, Options, analyzed, open_server


def kinds(options: Options) -> Figures:
    """CPU a frame by kind of stream: plain 25 % under annotated, both at once under 1.4 x one.

    Each round measures every kind on one server, so that the machine's speed cancels out.
    """
    watched = {
        "none": [], "plain": ["demo.mjpg?plain=1"], "annotated": ["demo.mjpg"],
        "bars": ["demo.mjpg?bars=1"], "both": ["demo.mjpg?plain=1", "demo.mjpg"],
    }  # fmt: skip
    costs: dict[str, list[float]] = {name: [] for name in watched}
    with open_server(options, "--source", "demo") as server:
        for _ in range(ROUNDS):
            for name, streams in watched.items():
                costs[name].append(_frame_cost(server, streams, options.seconds))
    cost = {name: statistics.median(rounds) for name, rounds in costs.items()}
    for name, seconds in cost.items():
        print(f"  {name}: {1e3 * seconds:.2f} ms of CPU a frame ({_rounds(costs[name])})")
    plain, annotated = (cost[name] - cost["none"] for name in ("plain", "annotated"))
    print(
        f"  plain costs {100 * (1 - cost['plain'] / cost['annotated']):.0f} % less than annotated"
    )
    print(f"  what a viewer adds: plain {100 * (1 - plain / annotated):.0f} % less than annotated")
    print(f"  both cost {cost['both'] / cost['annotated']:.2f} x annotated alone")
    return {
        f"{name}_cpu_ms_a_frame_by_round": [1e3 * seconds for seconds in rounds]
        for name, rounds in costs.items()
    }


def _rounds(seconds: Sequence[float]) -> str:
    return f"{1e3 * min(seconds):.2f}-{1e3 * max(seconds):.2f} by round"


def _frame_cost(server: Server, streams: Sequence[str], seconds: float) -> float:
    """Returns the server's CPU seconds per frame with these viewers and one that reads results."""

    async def run() -> float:
        people = Crowd(server.port)
        readers = [await people.connect(f"/stream/{path}") for path in streams]
        readers.append(await people.connect("/api/events?camera=demo"))
        taking = [asyncio.create_task(_take_all(reader)) for reader, _ in readers]
        await asyncio.sleep(SETTLE_S)
        before_s, frames = server.cpu_s(), analyzed(server)
        await asyncio.sleep(seconds)
        cost = (server.cpu_s() - before_s) / (analyzed(server) - frames)
        for task, (_, writer) in zip(taking, readers, strict=True):
            task.cancel()
            writer.close()
        return cost

    return asyncio.run(run())


async def _take_all(reader: asyncio.StreamReader) -> None:
    while await reader.read(1 << 16):
        pass
