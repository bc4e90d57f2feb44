"""The protocol between a decoder process and its owner, over a socket and shared memory.

The owner writes a file's bytes to the memory and sends a request; the process replaces them with the
pixels and sends a reply. The memory cannot shrink, so that a faulty process cannot crash its owner.
"""

from __future__ import annotations

import contextlib
import enum
import math
import mmap
import os
import socket
import struct
import sys
import tempfile
import time
from typing import NamedTuple

_REQUEST = struct.Struct("<4s?xxxQd")  # magic, grey, bytes of the file, seconds of CPU
_REPLY = struct.Struct(
    "<4sBxxxIIII"
)  # magic, status, height, width, channels, bytes of the message
_MAGIC = b"fjd1"
LONGEST_MESSAGE = 1000  # bytes


class Status(enum.IntEnum):
    """The kind of a reply."""

    READY = 0  # the first one: the process has started
    IMAGE = 1
    BAD_IMAGE = 2
    TOO_MANY_PIXELS = 3
    NO_MEMORY = 4


class DecodeRequest(NamedTuple):
    """Decode the first `size` bytes of the memory."""

    grey: bool
    size: int
    cpu_s: float


class DecodeReply(NamedTuple):
    """The outcome of a request.

    Attributes:
        shape: of an image in the memory, otherwise (0, 0, 0).
        message: the reason of a refusal, or a note on the image's file.
    """

    status: Status
    shape: tuple[int, int, int] = (0, 0, 0)
    message: str = ""


class DecoderWireError(Exception):
    """The other end is gone or sent an invalid message."""


def shared_memory(size: int) -> int:
    """Returns the descriptor of `size` bytes of zeroed memory, allocated only when written."""
    if sys.platform != "linux":
        with tempfile.TemporaryFile() as file:
            file.truncate(size)
            return os.dup(file.fileno())
    import fcntl

    descriptor = os.memfd_create("decoder", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, size)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    return descriptor


def release(memory: mmap.mmap, used: int) -> None:
    """Returns the first `used` bytes to the system; they read as zeros afterwards."""
    if hasattr(mmap, "MADV_REMOVE") and used:
        pages = -(-used // mmap.PAGESIZE) * mmap.PAGESIZE
        with contextlib.suppress(OSError):
            memory.madvise(mmap.MADV_REMOVE, 0, min(pages, len(memory)))


def send_request(wire: socket.socket, request: DecodeRequest) -> None:
    """Raises DecoderWireError if the other end is gone."""
    send_all(wire, _REQUEST.pack(_MAGIC, *request))


def receive_request(wire: socket.socket) -> DecodeRequest | None:
    """Returns the next request; None if the owner has closed the socket."""
    try:
        magic, *values = _REQUEST.unpack(receive_exactly(wire, _REQUEST.size))
    except DecoderWireError:
        return None
    return DecodeRequest(*values) if magic == _MAGIC else None


def send_reply(wire: socket.socket, reply: DecodeReply) -> None:
    """Raises DecoderWireError if the other end is gone."""
    text = reply.message.encode(errors="replace")[:LONGEST_MESSAGE]
    send_all(wire, _REPLY.pack(_MAGIC, reply.status, *reply.shape, len(text)) + text)


def receive_reply(wire: socket.socket, *, seconds: float) -> DecodeReply:
    """Returns the next reply, which must arrive completely within `seconds`.

    Raises:
        DecoderWireError: the process has ended or sent an invalid reply.
        TimeoutError: the reply took too long.
    """
    until_s = time.monotonic() + seconds
    magic, status, *shape, length = _REPLY.unpack(
        receive_exactly(wire, _REPLY.size, until_s=until_s)
    )
    if magic != _MAGIC or status not in tuple(Status) or length > LONGEST_MESSAGE:
        raise DecoderWireError
    height, width, channels = shape
    text = receive_text(wire, length, until_s=until_s)
    return DecodeReply(Status(status), (height, width, channels), text)


def receive_text(wire: socket.socket, length: int, *, until_s: float) -> str:
    """Returns `length` bytes as one printable line; raises as `receive_exactly`."""
    text = receive_exactly(wire, length, until_s=until_s).decode(errors="replace")
    return "".join(c if c.isprintable() else "?" for c in text)


def send_all(wire: socket.socket, data: bytes) -> None:
    """Raises DecoderWireError if the other end is gone."""
    try:
        wire.sendall(data)
    except OSError:
        raise DecoderWireError from None


def receive_exactly(wire: socket.socket, count: int, *, until_s: float = math.inf) -> bytes:
    """Returns `count` bytes that arrive before `until_s`, by the monotonic clock.

    Raises:
        DecoderWireError: the other end is gone.
        TimeoutError: they did not arrive in time.
    """
    data = b""
    while len(data) < count:
        try:
            if until_s < math.inf:
                wire.settimeout(max(until_s - time.monotonic(), 1e-3))
            more = wire.recv(count - len(data))
        except ConnectionError:
            raise DecoderWireError from None
        if not more:
            raise DecoderWireError
        data += more
    return data
