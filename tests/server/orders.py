"""Inputs for the tests of cameras: orders to a capture process, and a video."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np

from server.cameras.wire import Order


def order(kind: str = "demo", where: str = "demo", **changes: object) -> Order:
    values = {
        "width": 160,
        "height": 120,
        "fps": 30.0,
        "still_fps": 20.0,
        "unpaced": False,
        "parent": os.getpid(),
    }
    return Order(kind=kind, where=where, masked="masked", **{**values, **changes})  # type: ignore[arg-type]


def write_video(path: Path, frames: int, *, fps: float = 25.0) -> Path:
    """A Motion JPEG video whose frame n is grey n x 10."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), fps, (64, 48))
    for number in range(frames):
        writer.write(np.full((48, 64, 3), number * 10, np.uint8))
    writer.release()
    return path
