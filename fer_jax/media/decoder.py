"""Images decoded by a process that may die of them: nothing in a file's bytes reaches its owner.

with Decoder(max_pixels=25_000_000) as decoder:
    with decoder.decoded(data) as image:  # BadImageError where it cannot be
        ...
"""

from __future__ import annotations

import contextlib
import mmap
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from fer_jax.errors import FerError
from fer_jax.machine.confinement import child_command, child_environment
from fer_jax.media.decoder_wire import (
    DecodeReply,
    DecodeRequest,
    DecoderWireError,
    Status,
    receive_reply,
    release,
    send_request,
    shared_memory,
)
from fer_jax.media.image_header import BadImageError, DecoderFailedError, TooManyPixelsError
from fer_jax.media.images import MAX_PIXELS, MediaError, decode_noted, most_file_bytes, read_file

DECODE_S = 60.0  # a hundred megapixels in many scans take half of it on a slow core

_STARTS_WITHIN_S = 60.0  # a process on a machine that is busy with others
_ENDS_WITHIN_S = 1.0  # once its socket is closed
_KEPT_BYTES = 32 << 20  # of the memory between two images; what a larger one took is given back
_MODULE = "fer_jax.media.decoder_process"


class DecoderUnavailableError(FerError):
    """No decoder process can be started: of the machine, not of an image."""


class Decoder:
    """A process that decodes images, one at a time, for one thread at a time.

    It is started when the first image comes, or by `start`; one that died is replaced. Where a system
    has no descriptors to pass on (Windows), images are decoded in the calling process.

    Attributes:
        note: what was wrong with the newest image's file, which is whole all the same; "" for nothing.
    """

    def __init__(self, *, max_pixels: int = MAX_PIXELS) -> None:
        """Starts nothing yet; `max_pixels` is the most that an image may have."""
        self.note = ""
        self._max_pixels = max_pixels
        self._most_bytes = most_file_bytes(max_pixels)
        self._isolated = os.name == "posix"
        self._memory: mmap.mmap | None = None
        self._wire: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._ready = False

    @property
    def pid(self) -> int | None:
        """The process's id; None while there is none."""
        return None if self._process is None else self._process.pid

    @contextlib.contextmanager
    def decoded(
        self, data: bytes, *, grey: bool = False, seconds: float = DECODE_S
    ) -> Iterator[np.ndarray]:
        """Gives the bytes of an image file as `images.decode_image` does, for the context's duration.

        Args:
            data: the whole file.
            grey: give the luma alone, uint8 [H, W].
            seconds: how long it may take; then the process is killed.

        Raises:
            BadImageError: no image, cut short, damaged, too large, or the process died of it.
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
            if used > _KEPT_BYTES and self._memory is memory:
                release(memory, used)

    @contextlib.contextmanager
    def opened(self, path: Path) -> Iterator[np.ndarray]:
        """Gives a photograph as `images.read_image` does, for the context's duration.

        Raises:
            MediaError: as `read_image`, or the process died of it.
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
        """Begins to start the process and does not wait for it.

        Raises:
            DecoderUnavailableError: it cannot be started.
        """
        if self._process is not None or not self._isolated:
            return
        try:
            if self._memory is None:
                size = max(self._most_bytes, 3 * self._max_pixels)
                self._descriptor = shared_memory(size)
                self._memory = mmap.mmap(self._descriptor, size)
            ours, theirs = socket.socketpair()
        except OSError as error:
            raise _no_process(error) from error
        with theirs:
            numbers = (theirs.fileno(), self._descriptor)
            try:
                # What the libraries print about damaged images is of no use, and can fill a disk.
                self._process = subprocess.Popen(
                    child_command(_MODULE, *numbers, self._max_pixels),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=numbers,
                    start_new_session=True,
                    env=child_environment(OPENCV_IO_MAX_IMAGE_PIXELS=str(self._max_pixels)),
                )
            except OSError as error:
                ours.close()
                raise _no_process(error) from error
        self._wire, self._ready = ours, False

    def close(self) -> None:
        """Ends the process; a later image starts another."""
        self._end()
        if self._memory is not None:
            # An image that somebody still holds keeps the memory until it goes.
            with contextlib.suppress(BufferError):
                self._memory.close()
            self._memory = None
            os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _started(self) -> mmap.mmap:
        """Waits until the process is ready, and returns the memory shared with it."""
        self.start()
        assert self._wire is not None
        assert self._memory is not None
        if not self._ready:
            try:
                first = receive_reply(self._wire, seconds=_STARTS_WITHIN_S)
                self._ready = first.status == Status.READY
            except (DecoderWireError, TimeoutError):
                ended = self._end()
                raise DecoderUnavailableError(
                    f"the image decoder cannot be started ({ended})"
                ) from None
        return self._memory

    def _ask(self, request: DecodeRequest, *, seconds: float) -> DecodeReply:
        assert self._wire is not None
        try:
            send_request(self._wire, request)
            return receive_reply(self._wire, seconds=seconds)
        except TimeoutError:
            self._end(within_s=0)
            reason = f"the image takes more than {seconds:.3g} s to decode"
        except DecoderWireError:
            reason = f"the image's decoder crashed ({self._end()})"
        self.start()
        raise DecoderFailedError(reason)

    def _checked(self, reply: DecodeReply, *, grey: bool) -> tuple[int, int, int]:
        """Returns an image's shape.

        Raises:
            BadImageError: there is none.
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
            self._end()
            raise DecoderFailedError("the image's decoder answered nonsense")
        return reply.shape

    def _end(self, *, within_s: float = _ENDS_WITHIN_S) -> str:
        """Ends the process, by force if it has not ended within some seconds, and says how it ended."""
        process, wire = self._process, self._wire
        self._process = self._wire = None
        if wire is not None:
            wire.close()
        if process is None:
            return "it was not running"
        try:
            code = process.wait(within_s)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        if code >= 0:
            return f"exit code {code}"
        with contextlib.suppress(ValueError):
            return signal.Signals(-code).name
        return f"signal {-code}"


def _no_process(error: OSError) -> DecoderUnavailableError:
    reason = error.strerror or str(error)
    return DecoderUnavailableError(f"the image decoder cannot be started ({reason})")
