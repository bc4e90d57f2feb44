"""Video frames analysed per second, compared with the package `fer`."""

from __future__ import annotations

import statistics
import threading
from pathlib import Path

from live_stage import SETTLE_S, Figures, Options, analyzed, open_server, watch
from turns import Player

ROUNDS, _FER_FRAMES, _WARM_UP = 5, 300, 20


def unpaced(options: Options) -> Figures:
    """A watched video at full speed: 3 x the frames per second that `fer` analyses, alternating."""
    if options.video is None:
        print("  needs --video FILE")
        return {"left_out": "needs --video FILE"}
    if options.fer_python is None:
        return {"frames_a_second_by_round": [_unpaced_frames_a_second(options)]}
    side = [
        options.fer_python,
        str(Path(__file__).with_name("side_fer.py")),
        "--video",
        options.video,
    ]
    fer = Player("fer", side)
    try:
        fer.play("watch", _WARM_UP)
        ours, theirs = list[float](), list[float]()
        for _ in range(ROUNDS):
            ours.append(_unpaced_frames_a_second(options))
            theirs.append(_FER_FRAMES / fer.play("watch", _FER_FRAMES).seconds)
            times = ours[-1] / theirs[-1]
            print(f"  {fer.about}: {theirs[-1]:.1f} frames analysed a second; {times:.2f} x")
    finally:
        fer.close()
    ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
    low, high = min(ratios), max(ratios)
    print(f"  {statistics.median(ratios):.2f} x ({low:.2f}-{high:.2f} by round)")
    return {
        "frames_a_second_by_round": ours,
        "fer_frames_a_second_by_round": theirs,
        "times_fer_by_round": ratios,
    }


def _unpaced_frames_a_second(options: Options) -> float:
    with open_server(options, "--source", f"video={options.video}", "--unpaced") as server:
        before: list[float] = []
        timer = threading.Timer(SETTLE_S, lambda: before.append(analyzed(server)))
        timer.start()
        (seen,) = watch(server, ["video"], options.seconds)
        timer.join()
        frames = analyzed(server) - before[0]
        faces, batches = server.figure("fer_faces_total"), server.figure("fer_batch_rows_count")
        rate = frames / options.seconds
        print(f"  {rate:.1f} frames analysed a second")
        print(f"  {seen.frames / options.seconds:.1f} seen a second, {seen.torn} torn")
        print(f"  {faces:.0f} faces in {batches:.0f} batches")
    return rate
