"""Real images and videos for the tests of `fer_jax.faces`."""

from __future__ import annotations

import functools
import struct
from collections.abc import Sequence
from pathlib import Path

import cv2
import matplotlib
import numpy as np

from tests.shared_files import shared_file

PHOTO = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"


@functools.cache
def photo() -> np.ndarray:
    """Matplotlib's sample photograph: one face, uint8 [600, 512, 3] RGB; do not change it."""
    image = np.asarray(cv2.imread(str(PHOTO), cv2.IMREAD_COLOR_RGB), np.uint8)
    image.setflags(write=False)
    return image


def shared_media(name: str) -> Path:
    """An image or clip in the shared folder; skips the test if it is missing."""
    return shared_file(f"media/{name}")


def frames(count: int) -> list[np.ndarray]:
    """Distinct RGB frames: a white bar that moves down on a blue left and a green right half."""
    images = []
    for k in range(count):
        frame = np.zeros((96, 128, 3), np.uint8)
        frame[:, :64, 2] = 200
        frame[:, 64:, 1] = 200
        frame[4 * k : 4 * k + 8] = 255
        images.append(frame)
    return images


def bar_of(image: np.ndarray) -> int:
    """The index of this frame in `frames`."""
    rows = image.min(axis=2).mean(axis=1) > 128
    return round((int(np.argmax(rows)) + (int(rows.sum()) - 8) / 2) / 4)


def write_video(path: Path, images: Sequence[np.ndarray], *, codec: str, fps: float) -> Path:
    """Writes RGB frames; the path's suffix selects the container."""
    height, width = images[0].shape[:2]
    writer = cv2.VideoWriter(
        str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*codec), fps, (width, height)
    )
    assert writer.isOpened()
    for frame in images:
        writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    writer.release()
    return path


def turned(mp4: bytes) -> bytes:
    """An MP4 with a quarter turn clockwise in its header."""
    matrix = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
    at = mp4.index(b"tkhd") + 44
    return mp4[:at] + matrix + mp4[at + 36 :]


def slowed_after(mp4: bytes, *, frames: int, times: int) -> bytes:
    """An MP4 (header at the end) with later frames that last `times` as long: a variable frame rate."""
    at = mp4.index(b"stts") + 8
    entries, count, duration = struct.unpack_from(">III", mp4, at)
    assert entries == 1
    table = struct.pack(">IIIII", 2, frames, duration, count - frames, duration * times)
    longer = bytearray(mp4[:at] + table + mp4[at + 12 :])
    for box in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stts"):
        size_at = longer.index(box) - 4
        struct.pack_into(">I", longer, size_at, struct.unpack_from(">I", longer, size_at)[0] + 8)
    return bytes(longer).replace(b"edts", b"free")  # it would end the clip at its original length
