"""What viewers see: first frames, rates and ages, alone and beside many."""

from __future__ import annotations

import time

from live_clients import percentile
from live_stage import Options, analyzed, open_server, print_viewer, watch


def start(options: Options) -> None:
    """Ready in under 6 s with a warm cache; the first frame within 1.5 s."""
    with open_server(options, "--source", "demo", wait=False) as server:
        ready_s = server.wait_ready()
        print(f"  listening after {server.listening_s:.2f} s, ready after {ready_s:.2f} s")
        for when in ("first", "second"):
            (seen,) = watch(server, ["demo"], 2.0)
            print(f"  first frame of the {when} viewer after {seen.first_s:.2f} s")
            time.sleep(2)


def latency(options: Options) -> None:
    """One viewer of the demo, 640x480 at 30 fps: 30 frames a second, p50 < 40 ms, p95 < 80 ms."""
    with open_server(options, "--source", "demo") as server:
        (seen,) = watch(server, ["demo"], options.seconds)
        print_viewer("demo", seen, options.seconds)
        dropped = server.figure("fer_frames_dropped_total")
        print(f"  dropped as late or failed: {dropped:.0f}")


def crowd(options: Options) -> None:
    """100 viewers, of which 10 never read and 10 read slowly, beside 80 alone: ages within 25 %."""
    ages: dict[str, float] = {}
    for name, bad in (("without the bad ones", 0), ("with the bad ones", 10)):
        with open_server(options, "--source", "demo") as server:
            memory = server.memory()
            seen = watch(server, ["demo"] * 80, options.seconds, never=bad, slow=bad)
            grown = (server.memory() - memory) / 2**20
            frames, encoded = analyzed(server), server.figure("fer_frames_encoded_total")
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
    with open_server(options, *argv) as server:
        seen = watch(server, names, options.seconds)
        for name, one in zip(names, seen, strict=True):
            print_viewer(name, one, options.seconds)
        counts = [one.frames for one in seen]
        spread = 100 * (max(counts) - min(counts)) / max(counts)
        batches = server.figure("fer_batch_rows_count")
        print(f"  {analyzed(server):.0f} frames in {batches:.0f} batches, spread {spread:.0f} %")
