"""The protocol between a shard process and its owner, over a socket.

The owner sends a shard's descriptor; the process sends its images until the shard ends.
"""

from __future__ import annotations

import enum
import socket
import struct
import time
from typing import NamedTuple

from fer_jax.media.decoder_wire import DecoderWireError, send_all

_REPLY = struct.Struct("<4sBxxxIQ")  # magic, kind, bytes of the name, bytes of the content
_MAGIC = b"fjs1"
_KINDS = {b"t": "tar", b"p": "parquet"}
_LONGEST_NAME = 1 << 16
_LONGEST_TEXT = 1000


class Told(enum.IntEnum):
    """Kinds of messages from the process."""

    IMAGE = 1
    REFUSED = 2  # an image; the content is the reason
    FAILED = 3  # the shard, or the rest of it; the content is the reason
    END = 4


class ShardReply(NamedTuple):
    """`name` of an image within the shard, and its bytes or a reason."""

    kind: Told
    name: str
    content: bytes

    @property
    def text(self) -> str:
        """The reason, in one printable line."""
        text = self.content.decode(errors="replace")
        return "".join(c if c.isprintable() else "?" for c in text)


def send_shard(wire: socket.socket, kind: str, descriptor: int) -> None:
    """Raises DecoderWireError if the process is gone."""
    try:
        socket.send_fds(wire, [kind[:1].encode()], [descriptor])
    except OSError:
        raise DecoderWireError from None


def receive_shard(wire: socket.socket) -> tuple[str, int] | None:
    """Returns the next shard's kind and descriptor; None if the owner has closed the socket."""
    kind, descriptors, _, _ = socket.recv_fds(wire, 1, 1)
    if kind not in _KINDS or not descriptors:
        return None
    return _KINDS[kind], descriptors[0]


def send_told(wire: socket.socket, kind: Told, name: str, content: bytes | str) -> None:
    """Raises DecoderWireError if the owner is gone."""
    if isinstance(content, str):
        content = content.encode(errors="replace")[:_LONGEST_TEXT]
    named = name.encode(errors="surrogateescape")[:_LONGEST_NAME]
    send_all(wire, _REPLY.pack(_MAGIC, kind, len(named), len(content)) + named)
    send_all(wire, content)


def receive_told(wire: socket.socket, *, most_bytes: int, seconds: float) -> ShardReply:
    """Returns the next reply, which must arrive completely within `seconds`.

    Raises:
        DecoderWireError: the process has ended or sent an invalid reply.
        TimeoutError: the reply took too long.
    """
    until_s = time.monotonic() + seconds
    magic, kind, named, count = _REPLY.unpack(_exactly(wire, _REPLY.size, until_s))
    longest = most_bytes if kind == Told.IMAGE else _LONGEST_TEXT
    if magic != _MAGIC or kind not in tuple(Told) or named > _LONGEST_NAME or count > longest:
        raise DecoderWireError
    name = _exactly(wire, named, until_s).decode(errors="surrogateescape")
    return ShardReply(Told(kind), name, bytes(_exactly(wire, count, until_s)))


def _exactly(wire: socket.socket, count: int, until_s: float) -> bytearray:
    data = bytearray(count)
    view, got = memoryview(data), 0
    while got < count:
        wire.settimeout(max(until_s - time.monotonic(), 1e-3))
        try:
            more = wire.recv_into(view[got:])
        except ConnectionError:
            raise DecoderWireError from None
        if not more:
            raise DecoderWireError
        got += more
    view.release()
    return data
