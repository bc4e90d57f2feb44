"""Decodes images in a separate process, so that a crash on a file cannot harm its owner.

with Decoder(max_pixels=25_000_000) as decoder:
    with decoder.decoded(data) as image:  # BadImageError where it cannot be
        ...
"""

from __future__ import annotations

import contextlib
import mmap
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fer_jax.media.child import ChildOwner, DecoderChild
from fer_jax.media.decoder_wire import (
    DecodeReply,
    DecodeRequest,
    DecoderWireError,
    Status,
    receive_reply,
    release,
    send_request,
)
from fer_jax.media.image_errors import (
    BadImageError,
    DecoderFailedError,
    DecoderLateError,
    TooManyPixelsError,
)
from fer_jax.media.images import MAX_PIXELS, MediaError, decode_noted, most_file_bytes, read_file

DECODE_S = 60.0  # a hundred megapixels in many scans take half of this on a slow core

STARTS_WITHIN_S = 60.0  # for a process on a busy machine
_KEPT_BYTES = 32 << 20  # of memory kept between images; the rest of a larger one is released
_MODULE = "fer_jax.media.decoder_process"


class Decoder(ChildOwner):
    """A process that decodes images, one at a time, for one thread at a time.

    It is started for the first image, or by `start`; a crashed one is replaced. On systems that cannot
    pass descriptors (Windows), images are decoded in the calling process.

    Attributes:
        note: what was wrong with the newest image's file, which is still complete; "" for nothing.
    """

    def __init__(self, *, max_pixels: int = MAX_PIXELS) -> None:
        """Starts nothing yet; `max_pixels` is the largest allowed size of an image."""
        self.note = ""
        self._max_pixels = max_pixels
        self._most_bytes = most_file_bytes(max_pixels)
        self._isolated = sys.platform != "win32"
        size = max(self._most_bytes, 3 * max_pixels)
        super().__init__(DecoderChild(_MODULE, max_pixels, what="image", memory_bytes=size))

    @contextlib.contextmanager
    def decoded(
        self, data: bytes, *, grey: bool = False, seconds: float = DECODE_S
    ) -> Iterator[np.ndarray]:
        """Decodes an image file as `images.decode_image` does; the image lives as long as the context.

        Args:
            data: the whole file.
            grey: return only the luma, uint8 [H, W].
            seconds: time limit, after which the process is killed; waiting for its start comes on top,
                see `wait_ready`.

        Raises:
            BadImageError: not an image, cut short, damaged, too large, or it crashed the process.
            DecoderUnavailableError: no process can be started.
        """
        if not self._isolated:
            image, self.note = decode_noted(data, max_pixels=self._max_pixels, grey=grey)
            yield image
            return
        if len(data) > self._most_bytes:
            raise BadImageError(f"the file is larger than {self._most_bytes >> 20} MiB")
        memory = self._started()
        memory[: len(data)] = data
        reply = self._ask(DecodeRequest(grey, len(data), seconds), seconds=seconds)
        height, width, channels = self._checked(reply, grey=grey)
        self.note = reply.message
        count = height * width * channels
        image = np.frombuffer(memory, np.uint8, count=count)
        image = image.reshape((height, width) if grey else (height, width, channels))
        try:
            yield image
        finally:
            used = max(len(data), count)
            if used > _KEPT_BYTES and not memory.closed:
                release(memory, used)

    @contextlib.contextmanager
    def opened(self, path: Path) -> Iterator[np.ndarray]:
        """Reads a photograph as `images.read_image` does; the image lives as long as the context.

        Raises:
            MediaError: as `read_image`, or it crashed the process.
            DecoderUnavailableError: no process can be started.
        """
        data = read_file(path, most=self._most_bytes)
        with contextlib.ExitStack() as stack:
            try:
                image = stack.enter_context(self.decoded(data))
            except BadImageError as error:
                raise MediaError(path, str(error)) from None
            yield image

    def start(self) -> None:
        """Starts the process without waiting until it is ready.

        Raises:
            DecoderUnavailableError: it cannot be started.
        """
        if self._isolated:
            self._child.start(OPENCV_IO_MAX_IMAGE_PIXELS=str(self._max_pixels))

    def wait_ready(self, within_s: float) -> bool:
        """Starts the process and waits until it can decode; False if it needs longer.

        Raises:
            DecoderUnavailableError: it cannot be started.
        """
        self.start()
        child = self._child
        if child.wire is None or child.ready:
            return True
        try:
            child.wire.settimeout(max(1e-3, within_s))
            child.wire.recv(
                1, socket.MSG_PEEK
            )  # the report comes at once as a whole, and may be late
            child.ready = receive_reply(child.wire, seconds=STARTS_WITHIN_S).status == Status.READY
        except TimeoutError:
            return False
        except (DecoderWireError, OSError):
            raise child.unavailable(child.end()) from None
        return child.ready

    def _started(self) -> mmap.mmap:
        """Waits until the process is ready, and returns the memory shared with it."""
        if not self.wait_ready(STARTS_WITHIN_S):
            raise self._child.unavailable(self._child.end())
        return self._child.memory

    def _ask(self, request: DecodeRequest, *, seconds: float) -> DecodeReply:
        wire = self._child.wire
        assert wire is not None
        try:
            send_request(wire, request)
            return receive_reply(wire, seconds=seconds)
        except TimeoutError:
            self._child.end(within_s=0)
            error = DecoderLateError(f"the image takes more than {seconds:.3g} s to decode")
        except DecoderWireError:
            error = DecoderFailedError(f"the image's decoder crashed ({self._child.end()})")
        self.start()
        raise error

    def _checked(self, reply: DecodeReply, *, grey: bool) -> tuple[int, int, int]:
        """Returns an image's shape.

        Raises:
            BadImageError: the file holds no image.
        """
        if reply.status == Status.BAD_IMAGE:
            raise BadImageError(reply.message)
        if reply.status == Status.TOO_MANY_PIXELS:
            raise TooManyPixelsError(reply.message)
        if reply.status == Status.NO_MEMORY:
            raise DecoderFailedError("the image needs more memory than a decoder may take")
        height, width, channels = reply.shape
        sound = 0 < height * width <= self._max_pixels and channels == (1 if grey else 3)
        if reply.status != Status.IMAGE or not sound:
            self._child.end()
            raise DecoderFailedError("the image's decoder sent an invalid reply")
        return reply.shape
