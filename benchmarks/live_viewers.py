"""What viewers see: first frames, rates and ages, alone and in a crowd."""

from __future__ import annotations

import time

from live_clients import percentile
from live_stage import Figures, Options, analyzed, open_server, print_viewer, watch

CROWD, BAD = 80, 10  # good viewers, and bad ones of each kind


def start(options: Options) -> Figures:
    """Readiness in under 6 s with a warm cache; the first frame within 1.5 s."""
    with open_server(options, "--source", "demo", wait=False) as server:
        ready_s = server.wait_ready()
        print(f"  listening after {server.listening_s:.2f} s, ready after {ready_s:.2f} s")
        first_frames: list[float] = []
        for when in ("first", "second"):
            (seen,) = watch(server, ["demo"], 2.0)
            print(f"  first frame of the {when} viewer after {seen.first_s:.2f} s")
            first_frames.append(seen.first_s)
            time.sleep(2)
    return {
        "listening_s": server.listening_s,
        "ready_s": ready_s,
        "first_frame_s_by_viewer": first_frames,
    }


def latency(options: Options) -> Figures:
    """One viewer of the demo, 640x480 at 30 fps: 30 frames a second, p50 < 40 ms, p95 < 80 ms."""
    with open_server(options, "--source", "demo") as server:
        (seen,) = watch(server, ["demo"], options.seconds)
        viewer = print_viewer("demo", seen, options.seconds)
        dropped = server.figure("fer_frames_dropped_total")
        print(f"  dropped as late or failed: {dropped:.0f}")
    return {**viewer, "dropped": dropped}


def crowd(options: Options) -> Figures:
    """100 viewers, 10 of which never read and 10 read slowly, against 80 good ones: ages within 25 %."""
    figures: dict[str, Figures] = {}
    for name, bad in (("without the bad ones", 0), ("with the bad ones", BAD)):
        figures[name.replace(" ", "_")] = _crowd_beside(bad, name, options)
    one, other = (each["age_p95_ms"] for each in figures.values())
    print(f"  p95 with the bad ones is {100 * (other / one - 1):+.0f} % of that without")
    return figures


def _crowd_beside(bad: int, name: str, options: Options) -> Figures:
    """Measures a crowd alongside `bad` viewers that never read and as many that read slowly."""
    with open_server(options, "--source", "demo") as server:
        memory = server.memory()
        seen = watch(server, ["demo"] * CROWD, options.seconds, never=bad, slow=bad)
        grown = (server.memory() - memory) / 2**20
        frames, encoded = analyzed(server), server.figure("fer_frames_encoded_total")
    together = [age for one in seen for age in one.ages]
    p50, p95 = (1e3 * percentile(together, share) for share in (50, 95))
    each = sorted(one.frames / options.seconds for one in seen)
    torn = sum(one.torn for one in seen)
    print(f"  {name}: frames a second of a viewer {each[0]:.1f} to {each[-1]:.1f}")
    print(f"    age p50 {p50:.0f} ms, p95 {p95:.0f} ms")
    print(f"    {encoded:.0f} images encoded of {frames:.0f} frames for all viewers together")
    print(f"    memory grew by {grown:.0f} MiB; torn parts: {torn}")
    return {
        "frames_a_second_lowest": each[0],
        "frames_a_second_highest": each[-1],
        "age_p50_ms": p50,
        "age_p95_ms": p95,
        "encoded": encoded,
        "frames": frames,
        "memory_growth_mib": grown,
        "torn": torn,
    }


def cameras(options: Options) -> Figures:
    """4 demo cameras at once: all served, fewer batches than frames, within 10 % of each other."""
    names = ["one", "two", "three", "four"]
    argv = [part for name in names for part in ("--source", f"{name}=demo")]
    with open_server(options, *argv) as server:
        seen = watch(server, names, options.seconds)
        viewers = {
            name: print_viewer(name, one, options.seconds)
            for name, one in zip(names, seen, strict=True)
        }
        counts = [one.frames for one in seen]
        spread = 100 * (max(counts) - min(counts)) / max(counts)
        frames, batches = analyzed(server), server.figure("fer_batch_rows_count")
        print(f"  {frames:.0f} frames in {batches:.0f} batches, spread {spread:.0f} %")
    return {
        "viewers": viewers,
        "frames": frames,
        "batches": batches,
        "spread_percent": spread,
    }
