"""The protocol between a capture process and the server, over two pipes: no shared memory to leak.

Up (the child's standard output): a header, then an image's raw RGB bytes or a report as JSON. Down (its
standard input): lines of JSON, first the order, then demands. A closed pipe ends both.
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
import struct
from typing import Any, Literal

import numpy as np

from fer_jax.machine.json_files import parse_json

Trouble = Literal["missing", "busy", "forbidden", "reconnecting"]

# Magic, kind, width, height (of an image; 0 for the same one as before) or 0 and the report's bytes,
# captured_s, wall_s.
_HEADER = struct.Struct("<4scxxxIIdd")
_MAGIC = b"fjx1"
_IMAGE, _SAME, _REPORT = b"P", b"S", b"R"

_MAX_SIDE = 16384  # pixels; a header beyond it is not one of ours
_MAX_REPORT = 65536  # bytes
_PIPE_BYTES = (
    1 << 20
)  # Linux's limit for ordinary users; holds a 640x480 image, so that no end waits

# The same in every libc of Linux; Python's fcntl has it from 3.10, on Linux only.
_F_SETPIPE_SZ = 1031


class WireError(ValueError):
    """Bytes that are not a valid message: the other end is broken."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Order:
    """The source that a capture process must open; its first line.

    Attributes:
        kind, where: as in `server.settings.Source`; `where` may hold credentials, which is why it
            travels here and not in the arguments that `ps` shows.
        masked: the name of `where` in reports.
        width, height, fps: requested from webcams and the demo.
        still_fps: how often a camera of still images is asked, in requests per second.
        unpaced: every frame of a video, as fast as they are taken.
        parent: the server's process id.
    """

    kind: str
    where: str = dataclasses.field(repr=False)
    masked: str
    width: int
    height: int
    fps: float
    still_fps: float
    unpaced: bool
    parent: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Demand:
    """What the server currently requests from a capture process.

    Attributes:
        fps: the most frames per second; None for all.
        paused: no frames at all; the source stays open.
    """

    fps: float | None = None
    paused: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class CapturedImage:
    """One transferred image: uint8 [H, W, 3] RGB, and when the source delivered it.

    `image` is None if the source still has the same image as before.
    """

    image: np.ndarray | None
    captured_s: float
    wall_s: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    """A capture process's report: it has opened its source, or what is wrong.

    Attributes:
        trouble: None when the source is open; otherwise the process ends after this.
        reason: one line for people, without credentials.
        fps: frames per second that the open source declares; 0 if unknown.
    """

    trouble: Trouble | None = None
    reason: str = ""
    fps: float = 0.0


def line(message: Order | Demand) -> bytes:
    """Returns a message down as one line of JSON."""
    return json.dumps(dataclasses.asdict(message)).encode() + b"\n"


def parse_order(text: bytes) -> Order:
    """Reads the first line down."""
    return Order(**json.loads(text))


def parse_demand(text: bytes) -> Demand:
    """Reads any further line down."""
    return Demand(**json.loads(text))


def send_image(pipe: int, captured: CapturedImage) -> None:
    """Writes an image up; blocks while the server does not read.

    Raises:
        BrokenPipeError: the server is gone.
    """
    times = captured.captured_s, captured.wall_s
    if captured.image is None:
        _write(pipe, _HEADER.pack(_MAGIC, _SAME, 0, 0, *times))
        return
    image = np.ascontiguousarray(captured.image)
    height, width = image.shape[:2]
    _write(pipe, _HEADER.pack(_MAGIC, _IMAGE, width, height, *times))
    _write(pipe, image.reshape(-1).data)


def send_report(pipe: int, report: Report) -> None:
    """Writes a report up."""
    data = json.dumps(dataclasses.asdict(report)).encode()
    _write(pipe, _HEADER.pack(_MAGIC, _REPORT, 0, len(data), 0.0, 0.0) + data)


def receive(pipe: io.FileIO) -> CapturedImage | Report | None:
    """Returns the next message up, images in new memory; None after the last.

    Args:
        pipe: unbuffered.

    Raises:
        WireError: not a valid message.
    """
    header = bytearray(_HEADER.size)
    if not _fill(pipe, memoryview(header)):
        return None
    magic, kind, width, height, captured_s, wall_s = _HEADER.unpack(header)
    if magic == _MAGIC and kind == _REPORT and height <= _MAX_REPORT:
        data = bytearray(height)
        return Report(**_loads(data)) if _fill(pipe, memoryview(data)) else None
    if magic == _MAGIC and kind == _SAME:
        return CapturedImage(image=None, captured_s=captured_s, wall_s=wall_s)
    if magic == _MAGIC and kind == _IMAGE and 0 < width <= _MAX_SIDE and 0 < height <= _MAX_SIDE:
        image = np.empty((height, width, 3), np.uint8)
        if not _fill(pipe, image.reshape(-1).data):
            return None
        return CapturedImage(image=image, captured_s=captured_s, wall_s=wall_s)
    raise WireError("the capture process sent something that is not an image")


def widen(pipe: int) -> None:
    """Enlarges a pipe to hold a whole image, if the system allows it."""
    try:
        import fcntl

        fcntl.fcntl(pipe, _F_SETPIPE_SZ, _PIPE_BYTES)
    except (ImportError, OSError):
        return  # the default of 64 KiB works too, in more steps


def _loads(data: bytearray) -> dict[str, Any]:
    try:
        return parse_json(data)
    except ValueError as error:
        raise WireError("the capture process sent a report that cannot be read") from error


def _fill(pipe: io.FileIO, view: memoryview) -> bool:
    """Reads until `view` is full; False if the pipe ended before."""
    at = 0
    while at < len(view):
        count = pipe.readinto(view[at:])
        if not count:
            return False
        at += count
    return True


def _write(pipe: int, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(pipe, view) :]
