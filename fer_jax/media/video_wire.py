"""The protocol between a video decoder process and its owner, over a socket and shared memory.

The memory is cut into slots of one frame each. The owner frees slots and opens a video; the process
fills free slots with frames, a few ahead, until the video ends or is closed.
"""

from __future__ import annotations

import enum
import socket
import struct
import time
from typing import NamedTuple

from fer_jax.media.decoder_wire import (
    LONGEST_MESSAGE,
    DecoderWireError,
    receive_exactly,
    receive_text,
    send_all,
)

# Magic, kind, slot or `every`, frames a second (0 is all of them), share and number of shares.
_REQUEST = struct.Struct("<4sBxxxIdII")
# Magic, kind, slot, width, height, index or count, seconds or frames a second, bytes of the text.
_REPLY = struct.Struct("<4sBxxxIIIQdI")
_MAGIC = b"fjv1"


class Ask(enum.IntEnum):
    """Kinds of messages from the owner."""

    OPEN = 0  # a video, sent with its descriptor
    FREE = 1  # a slot may be filled
    CLOSE = 2  # the rest of the video is not needed


class Said(enum.IntEnum):
    """Kinds of messages from the process."""

    READY = 0  # the first one: the process has started
    OPENED = 1
    FRAME = 2
    ALIVE = 3  # it is decoding frames that were not requested
    CUT = 4  # the text is the reason; END follows
    END = 5  # the text is a note, or empty
    FAILED = 6  # the text is the reason


class VideoRequest(NamedTuple):
    """`number` is a slot, or `every` in OPEN; `fps` is 0 for all frames; `descriptor` is for OPEN."""

    kind: Ask
    number: int = 0
    fps: float = 0.0
    descriptor: int | None = None
    share: int = 0
    shares: int = 1


class VideoReply(NamedTuple):
    """`number` is a frame's index, or the frame count in OPENED; `value` is its seconds, or the fps."""

    kind: Said
    slot: int = 0
    width: int = 0
    height: int = 0
    number: int = 0
    value: float = 0.0
    text: str = ""


def send_video_request(wire: socket.socket, request: VideoRequest) -> None:
    """Raises DecoderWireError if the process is gone."""
    data = _REQUEST.pack(
        *(_MAGIC, request.kind, request.number, request.fps, request.share, request.shares)
    )
    if request.descriptor is None:
        send_all(wire, data)
        return
    try:
        socket.send_fds(wire, [data], [request.descriptor])
    except OSError:
        raise DecoderWireError from None


def receive_video_request(wire: socket.socket) -> VideoRequest | None:
    """Returns the next request; None if the owner has closed the socket."""
    data, descriptors = b"", []
    while len(data) < _REQUEST.size:
        more, found, _, _ = socket.recv_fds(wire, _REQUEST.size - len(data), 1)
        if not more:
            return None
        data += more
        descriptors += found
    magic, kind, number, fps, *share = _REQUEST.unpack(data)
    if magic != _MAGIC:
        return None
    return VideoRequest(Ask(kind), number, fps, descriptors[0] if descriptors else None, *share)


def send_video_reply(wire: socket.socket, reply: VideoReply) -> None:
    """Raises DecoderWireError if the owner is gone."""
    text = reply.text.encode(errors="replace")[:LONGEST_MESSAGE]
    head = (reply.slot, reply.width, reply.height, reply.number, reply.value, len(text))
    send_all(wire, _REPLY.pack(_MAGIC, reply.kind, *head) + text)


def receive_video_reply(wire: socket.socket, *, seconds: float) -> VideoReply:
    """Returns the next reply, which must arrive completely within `seconds`.

    Raises:
        DecoderWireError: the process has ended or sent an invalid reply.
        TimeoutError: the reply took too long.
    """
    until_s = time.monotonic() + seconds
    data = receive_exactly(wire, _REPLY.size, until_s=until_s)
    magic, kind, slot, width, height, number, value, length = _REPLY.unpack(data)
    if magic != _MAGIC or kind not in tuple(Said) or length > LONGEST_MESSAGE:
        raise DecoderWireError
    text = receive_text(wire, length, until_s=until_s)
    return VideoReply(Said(kind), slot, width, height, number, value, text)
