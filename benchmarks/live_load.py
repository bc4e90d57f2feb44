"""The live server under load, on loopback: `python benchmarks/live_load.py all --checkpoint DIR`.

Each command starts a server of its own, loads it for a bounded time and prints the figures with what
they should be. Clients and server share the machine's cores.
"""

from __future__ import annotations

import argparse
import asyncio
import concurrent.futures
import contextlib
import itertools
import os
import signal
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib
import psutil
from live_clients import Crowd, Seen, Server, Uploader, every, percentile
from turns import Player

from fer_jax import command
from fer_jax.machine.processor import usable_cores
from fer_jax.pretrained import CHECKPOINT_HELP

PHOTO = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
Options = argparse.Namespace
_SETTLE_S = 3.0
_ROUNDS = 3  # of what is compared
_VIDEO_ROUNDS, _FER_FRAMES, _WARM_UP = 5, 300, 20


def main(argv: Sequence[str]) -> int:
    """Runs one command, or all."""
    options = _parser().parse_args(argv)
    names = list(COMMANDS) if options.command == "all" else [options.command]
    print(f"{usable_cores()} cores, {options.seconds:g} s each", flush=True)
    for name in names:
        print(f"\n{name}: {COMMANDS[name].__doc__}", flush=True)
        COMMANDS[name](options)
    return 0


def latency(options: Options) -> None:
    """One viewer of the demo, 640x480 at 30 fps: 30 frames a second, p50 < 40 ms, p95 < 80 ms."""
    with _server(options, "--source", "demo") as server:
        (seen,) = _watch(server, ["demo"], options.seconds)
        _print_viewer("demo", seen, options.seconds)
        told = server.figure("fer_frames_dropped_total")
        print(f"  dropped as late or failed: {told:.0f}")


def unpaced(options: Options) -> None:
    """A video as fast as it goes, watched: 3 x the frames a second that `fer` analyses, by turns."""
    if options.video is None:
        print("  needs --video FILE")
        return
    if options.fer_python is None:
        _unpaced_frames_a_second(options)
        return
    side = [
        options.fer_python,
        str(Path(__file__).with_name("side_fer.py")),
        "--video",
        options.video,
    ]
    fer = Player("fer", side)
    try:
        fer.play("watch", _WARM_UP)
        ratios: list[float] = []
        for _ in range(_VIDEO_ROUNDS):
            ours = _unpaced_frames_a_second(options)
            theirs = _FER_FRAMES / fer.play("watch", _FER_FRAMES).seconds
            ratios.append(ours / theirs)
            print(f"  {fer.about}: {theirs:.1f} frames analysed a second; {ratios[-1]:.2f} x")
    finally:
        fer.close()
    low, high = min(ratios), max(ratios)
    print(f"  {statistics.median(ratios):.2f} x ({low:.2f}-{high:.2f} by round)")


def _unpaced_frames_a_second(options: Options) -> float:
    with _server(options, "--source", f"video={options.video}", "--unpaced") as server:
        before: list[float] = []
        timer = threading.Timer(_SETTLE_S, lambda: before.append(_analyzed(server)))
        timer.start()
        (seen,) = _watch(server, ["video"], options.seconds)
        timer.join()
        frames = _analyzed(server) - before[0]
        faces, batches = server.figure("fer_faces_total"), server.figure("fer_batch_rows_count")
        rate = frames / options.seconds
        print(f"  {rate:.1f} frames analysed a second")
        print(f"  {seen.frames / options.seconds:.1f} seen a second, {seen.torn} torn")
        print(f"  {faces:.0f} faces in {batches:.0f} batches")
    return rate


def crowd(options: Options) -> None:
    """100 viewers, of which 10 never read and 10 read slowly, beside 80 alone: ages within 25 %."""
    ages: dict[str, float] = {}
    for name, bad in (("without the bad ones", 0), ("with the bad ones", 10)):
        with _server(options, "--source", "demo") as server:
            memory = server.memory()
            seen = _watch(server, ["demo"] * 80, options.seconds, never=bad, slow=bad)
            grown = (server.memory() - memory) / 2**20
            frames, encoded = _analyzed(server), server.figure("fer_frames_encoded_total")
        together = [age for one in seen for age in one.ages]
        ages[name] = percentile(together, 95)
        each = sorted(one.frames / options.seconds for one in seen)
        print(f"  {name}: frames a second of a viewer {each[0]:.1f} to {each[-1]:.1f}")
        print(f"    age p50 {1e3 * percentile(together, 50):.0f} ms, p95 {1e3 * ages[name]:.0f} ms")
        print(f"    {encoded:.0f} images encoded of {frames:.0f} frames for 80 viewers and more")
        print(f"    memory grew by {grown:.0f} MiB; torn parts: {sum(one.torn for one in seen)}")
    one, other = ages.values()
    print(f"  p95 with the bad ones is {100 * (other / one - 1):+.0f} % of that without")


def cameras(options: Options) -> None:
    """4 demo cameras at once: all served, fewer batches than frames, within 10 % of each other."""
    names = ["one", "two", "three", "four"]
    argv = [part for name in names for part in ("--source", f"{name}=demo")]
    with _server(options, *argv) as server:
        seen = _watch(server, names, options.seconds)
        for name, one in zip(names, seen, strict=True):
            _print_viewer(name, one, options.seconds)
        counts = [one.frames for one in seen]
        spread = 100 * (max(counts) - min(counts)) / max(counts)
        batches = server.figure("fer_batch_rows_count")
        print(f"  {_analyzed(server):.0f} frames in {batches:.0f} batches, spread {spread:.0f} %")


def kinds(options: Options) -> None:
    """CPU a frame by kind of stream: plain 25 % under annotated, both at once under 1.4 x one.

    Each round measures every kind on one server, so that the machine's own speed cancels out.
    """
    watched = {
        "none": [], "plain": ["demo.mjpg?plain=1"], "annotated": ["demo.mjpg"],
        "bars": ["demo.mjpg?bars=1"], "both": ["demo.mjpg?plain=1", "demo.mjpg"],
    }  # fmt: skip
    costs: dict[str, list[float]] = {name: [] for name in watched}
    with _server(options, "--source", "demo") as server:
        for _ in range(_ROUNDS):
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


def _rounds(seconds: Sequence[float]) -> str:
    return f"{1e3 * min(seconds):.2f}-{1e3 * max(seconds):.2f} by round"


def _frame_cost(server: Server, streams: Sequence[str], seconds: float) -> float:
    """Returns the server's CPU seconds a frame beside these viewers and one who reads results."""

    async def run() -> float:
        people = Crowd(server.port)
        readers = [await people.connect(f"/stream/{path}") for path in streams]
        readers.append(await people.connect("/api/events?camera=demo"))
        taking = [asyncio.create_task(_take_all(reader)) for reader, _ in readers]
        await asyncio.sleep(_SETTLE_S)
        before_s, frames = server.cpu_s(), _analyzed(server)
        await asyncio.sleep(seconds)
        cost = (server.cpu_s() - before_s) / (_analyzed(server) - frames)
        for task, (_, writer) in zip(taking, readers, strict=True):
            task.cancel()
            writer.close()
        return cost

    return asyncio.run(run())


async def _take_all(reader: asyncio.StreamReader) -> None:
    while await reader.read(1 << 16):
        pass


def overload(options: Options) -> None:
    """REST at 4 x its capacity beside one viewer: 429, throughput flat, the viewer's ages in bounds.

    Both in turn, three times, for a machine's own speed varies by as much as is looked for.
    """
    photo, ratios = PHOTO.read_bytes(), list[float]()
    with _server(options, "--source", "demo") as server:
        for _ in range(_ROUNDS):
            before, alone = _score_at(server, photo, options.seconds, a_second=None)
            capacity = before[200] / options.seconds
            print(f"  capacity {capacity:.1f} photographs a second")
            _print_viewer("demo beside full use", alone, options.seconds)
            after, live = _score_at(server, photo, options.seconds, a_second=4 * capacity)
            print(f"  at 4 x: {after[200] / options.seconds:.1f} a second; answers {dict(after)}")
            _print_viewer("demo beside overload", live, options.seconds)
            ratios.append(after[200] / before[200])
    print(
        f"  at 4 x its capacity it answers {statistics.median(ratios):.2f} of it "
        f"({min(ratios):.2f}-{max(ratios):.2f})"
    )


def farewell(options: Options) -> None:
    """SIGTERM with 50 viewers and requests in flight: within 5 s, exit 0, no orphan."""
    photo = PHOTO.read_bytes()
    with _server(options, "--source", "demo") as server:
        children, took = server.children(), []

        def end() -> None:
            time.sleep(_SETTLE_S)
            for k in range(8):
                threading.Thread(target=_score, args=(server, photo, k), daemon=True).start()
            time.sleep(0.05)
            asked_s = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            server.process.wait(30)
            took.append(time.monotonic() - asked_s)

        thread = threading.Thread(target=end)
        thread.start()
        seen = _watch(server, ["demo"] * 50, 15.0, never=5)
        thread.join()
        _, alive = psutil.wait_procs(children, timeout=1)
        print(f"  ended after {took[0]:.2f} s with code {server.process.returncode}")
        print(f"  orphans: {len(alive)}; torn parts: {sum(one.torn for one in seen)}")


def start(options: Options) -> None:
    """Ready in under 6 s with a warm cache; the first frame within 1.5 s."""
    with _server(options, "--source", "demo", wait=False) as server:
        ready_s = server.wait_ready()
        print(f"  listening after {server.listening_s:.2f} s, ready after {ready_s:.2f} s")
        for when in ("first", "second"):
            (seen,) = _watch(server, ["demo"], 2.0)
            print(f"  first frame of the {when} viewer after {seen.first_s:.2f} s")
            time.sleep(2)


COMMANDS: dict[str, Callable[[Options], None]] = {
    one.__name__: one
    for one in (start, latency, unpaced, crowd, cameras, kinds, overload, farewell)
}


def _server(options: Options, *argv: str, wait: bool = True) -> Server:
    checkpoint = [] if options.checkpoint is None else ["--checkpoint", options.checkpoint]
    server = Server(*argv, *checkpoint)
    if wait:
        server.wait_ready()
    return server


def _watch(
    server: Server, cameras: Sequence[str], seconds: float, *, never: int = 0, slow: int = 0
) -> list[Seen]:
    """Returns what a viewer of each camera named saw, beside others that read badly."""
    seen = [Seen() for _ in cameras]
    people, whole_s = Crowd(server.port), seconds + _SETTLE_S

    async def run() -> None:
        bad = [people.never_read(cameras[0], seconds=whole_s) for _ in range(never)]
        bad += [people.read_slowly(cameras[0], seconds=whole_s) for _ in range(slow)]
        good = [
            people.watch(camera, one, seconds=seconds, settle_s=_SETTLE_S)
            for camera, one in zip(cameras, seen, strict=True)
        ]
        await asyncio.gather(*good, *bad)

    asyncio.run(run())
    return seen


def _score_at(
    server: Server, photo: bytes, seconds: float, *, a_second: float | None
) -> tuple[Counter[int], Seen]:
    """Counts answers by status beside one viewer; None asks four at a time, as fast as it goes.

    Those who ask give way to server and viewer: elsewhere they would have a machine of their own.
    """
    answers: Counter[int] = Counter()
    own = threading.local()
    numbers, uploaders = itertools.count(), list[Uploader]()
    until_s = time.monotonic() + _SETTLE_S + seconds

    def enter_thread() -> None:
        os.nice(10)
        address = f"127.0.2.{1 + next(numbers) % 8}"
        own.uploader = Uploader(server.port, photo, address=address)
        uploaders.append(own.uploader)

    with (
        contextlib.ExitStack() as at_end,
        concurrent.futures.ThreadPoolExecutor(64, initializer=enter_thread) as pool,
        concurrent.futures.ThreadPoolExecutor(1) as watching,
    ):
        at_end.callback(lambda: [one.close() for one in uploaders])
        watched = watching.submit(_watch, server, ["demo"], seconds)
        time.sleep(_SETTLE_S)

        def one() -> None:
            answers[own.uploader.post()] += 1

        def many() -> None:
            while time.monotonic() < until_s:
                one()

        if a_second is None:
            concurrent.futures.wait([pool.submit(many) for _ in range(4)])
        else:
            for due_s in every(1 / a_second, until_s=until_s):
                time.sleep(max(0.0, due_s - time.monotonic()))
                pool.submit(one)
        (seen,) = watched.result()
    return answers, seen


def _score(server: Server, photo: bytes, number: int) -> int:
    try:
        return server.ask("/api/score", body=photo, address=f"127.0.2.{1 + number % 8}")[0]
    except OSError:
        return 0  # no answer at all


def _analyzed(server: Server) -> float:
    return server.figure("fer_frames_analyzed_total")


def _print_viewer(name: str, seen: Seen, seconds: float) -> None:
    p50, p95 = (1e3 * percentile(seen.ages, share) for share in (50, 95))
    rate = seen.frames / seconds
    print(
        f"  {name}: {rate:.1f} frames/s, age p50 {p50:.0f} ms, p95 {p95:.0f} ms, {seen.torn} torn"
    )


def _parser() -> argparse.ArgumentParser:
    parser = command.Parser(prog="live_load.py", description=__doc__)
    parser.add_argument("command", choices=[*COMMANDS, "all"])
    parser.add_argument("--checkpoint", help=CHECKPOINT_HELP)
    parser.add_argument("--video", help="a video file, for unpaced")
    parser.add_argument(
        "--fer-python", help="for unpaced, as of score_throughput.py; default: fer_jax alone"
    )
    parser.add_argument("--seconds", type=float, default=15.0, help="of measuring; %(default)s")
    return parser


if __name__ == "__main__":
    sys.exit(command.run(main))
