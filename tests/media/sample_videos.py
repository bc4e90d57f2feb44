"""Videos that ffmpeg makes from given frames, and ways to damage them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

EVERY_FRAME_WHOLE = ("-c:v", "mjpeg", "-q:v", "2", "-pix_fmt", "yuvj444p")


def ffmpeg(*arguments: object, given: bytes = b"") -> None:
    """Runs ffmpeg; skips the test if it is missing."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    line = ["ffmpeg", "-loglevel", "error", "-y", *map(str, arguments)]
    subprocess.run(line, input=given, check=True, timeout=60)


def encode(path: Path, images: Sequence[np.ndarray], *options: object, fps: float = 10) -> Path:
    """Writes RGB frames with these options; the path's suffix selects the container."""
    height, width = images[0].shape[:2]
    raw = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", fps, "-i", "-")
    ffmpeg(*raw, *options, path, given=b"".join(image.tobytes() for image in images))
    return path


def without_jpeg(data: bytes, number: int) -> bytes:
    """A Motion JPEG video with one JPEG, counted from 0, zeroed."""
    start = -1
    for _ in range(number + 1):
        start = data.index(b"\xff\xd8\xff", start + 1)
    end = data.index(b"\xff\xd9", start) + 2
    return data[:start] + bytes(end - start) + data[end:]


def without_blocks(data: bytes, first: int, end: int, *, header: int) -> bytes:
    """A Motion JPEG video with the JPEGs from `first` to before `end` zeroed, headers included."""
    starts, at = [], -1
    while (at := data.find(b"\xff\xd8\xff", at + 1)) >= 0:
        starts.append(at - header)
    wiped = bytes(starts[end] - starts[first])
    return data[: starts[first]] + wiped + data[starts[end] :]
