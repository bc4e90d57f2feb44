"""How many frames of a video a second are analysed, beside the package `fer`."""

from __future__ import annotations

import statistics
import threading
from pathlib import Path

from live_stage import SETTLE_S, Options, analyzed, open_server, watch
from turns import Player

_VIDEO_ROUNDS, _FER_FRAMES, _WARM_UP = 5, 300, 20


def unpaced(options: Options) -> None:
    """A video as fast as it goes, watched: 3 x the frames a second that `fer` analyses, alternating."""
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
