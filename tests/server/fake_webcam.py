"""A webcam for machines without one: `python -m tests.server.fake_webcam`, used as the capture program.

It is plugged in while the file named by the order exists. The file's content selects its behaviour:
"busy", "forbidden", "hang" and "crash" inside the driver, "noise" in place of images; otherwise it
works.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np

from server.cameras.capture_process import main
from server.cameras.reader import SourceError
from server.cameras.wire import Order


class FakeWebcam:
    live = True
    fps = 30.0

    def __init__(self, order: Order) -> None:
        self._node = Path(order.where)
        self._count = 0
        match self._mode():
            case "busy":
                raise SourceError("busy", "in use by another program")
            case "forbidden":
                raise SourceError("forbidden", "not in the group video")

    def grab(self) -> float:
        time.sleep(1 / self.fps)
        match self._mode():
            case "hang":
                time.sleep(3600)
            case "crash":
                os.abort()
            case "noise":
                # The pipe is this process's newest descriptor.
                pipe = max(int(name) for name in os.listdir("/proc/self/fd") if _is_pipe(name))
                os.write(pipe, b"\xff" * 4096)
        return time.monotonic()

    def image(self) -> np.ndarray:
        self._count += 1
        return np.full((48, 64, 3), self._count % 256, np.uint8)

    def close(self) -> None:
        pass

    def _mode(self) -> str:
        try:
            return self._node.read_text()
        except FileNotFoundError:
            raise SourceError("missing", "the webcam was unplugged") from None


def _is_pipe(name: str) -> bool:
    try:
        return os.readlink(f"/proc/self/fd/{name}").startswith("pipe:")
    except FileNotFoundError:
        return False


if __name__ == "__main__":
    sys.exit(main(FakeWebcam))
