"""Requests during overload and at shutdown."""

from __future__ import annotations

import concurrent.futures
import contextlib
import itertools
import os
import signal
import statistics
import threading
import time
from collections import Counter
from pathlib import Path

import matplotlib
import psutil
from live_clients import Seen, Server, Uploader, every
from live_stage import ROUNDS, SETTLE_S, Figures, Options, open_server, print_viewer, watch

_PHOTO = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"


def overload(options: Options) -> Figures:
    """REST at 4 x its capacity with one viewer: 429, flat throughput, the viewer's frame ages in bounds.

    Full use and overload alternate three times, because machine speed varies as much.
    """
    photo, capacities, ratios = _PHOTO.read_bytes(), list[float](), list[float]()
    with open_server(options, "--source", "demo") as server:
        for _ in range(ROUNDS):
            before, alone = _score_at(server, photo, options.seconds, a_second=None)
            capacity = before[200] / options.seconds
            print(f"  capacity {capacity:.1f} photographs a second")
            print_viewer("demo beside full use", alone, options.seconds)
            after, live = _score_at(server, photo, options.seconds, a_second=4 * capacity)
            print(f"  at 4 x: {after[200] / options.seconds:.1f} a second; answers {dict(after)}")
            print_viewer("demo beside overload", live, options.seconds)
            capacities.append(capacity)
            ratios.append(after[200] / before[200])
    print(
        f"  at 4 x its capacity it answers {statistics.median(ratios):.2f} of it "
        f"({min(ratios):.2f}-{max(ratios):.2f})"
    )
    return {
        "capacity_a_second_by_round": capacities,
        "answered_at_4x_of_capacity_by_round": ratios,
    }


def farewell(options: Options) -> Figures:
    """SIGTERM with 50 viewers and requests in flight: exits within 5 s with code 0 and no orphans."""
    photo = _PHOTO.read_bytes()
    with open_server(options, "--source", "demo") as server:
        children, took = server.children(), []

        def end() -> None:
            time.sleep(SETTLE_S)
            for k in range(8):
                threading.Thread(target=_score, args=(server, photo, k), daemon=True).start()
            time.sleep(0.05)
            asked_s = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            server.process.wait(30)
            took.append(time.monotonic() - asked_s)

        thread = threading.Thread(target=end)
        thread.start()
        seen = watch(server, ["demo"] * 50, 15.0, never=5)
        thread.join()
        _, alive = psutil.wait_procs(children, timeout=1)
        code, torn = server.process.returncode, sum(one.torn for one in seen)
        print(f"  ended after {took[0]:.2f} s with code {code}")
        print(f"  orphans: {len(alive)}; torn parts: {torn}")
    return {"seconds": took[0], "exit_code": code, "orphans": len(alive), "torn": torn}


def _score_at(
    server: Server, photo: bytes, seconds: float, *, a_second: float | None
) -> tuple[Counter[int], Seen]:
    """Counts responses by status with one viewer; None sends four at a time, as fast as possible.

    Clients run at a lower priority than server and viewer; in production they have their own machines.
    """
    answers: Counter[int] = Counter()
    own = threading.local()
    numbers, uploaders = itertools.count(), list[Uploader]()
    until_s = time.monotonic() + SETTLE_S + seconds

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
        watched = watching.submit(watch, server, ["demo"], seconds)
        time.sleep(SETTLE_S)

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
