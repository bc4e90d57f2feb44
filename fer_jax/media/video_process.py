"""A video decoder process: `python -m fer_jax.media.video_process`, started by a `VideoDecoder`.

It decodes one video after the other into shared memory, without network access and within limits of
memory and time, until its owner closes the socket. It may crash on a video: its owner starts another.
"""

from __future__ import annotations

import mmap
import os
import signal
import socket
import sys
import time
from collections import deque
from typing import TYPE_CHECKING

from fer_jax.machine.confinement import (
    CpuLimit,
    drop_privileges,
    leave_network,
    leave_no_core_dumps,
    limit_memory,
)
from fer_jax.media.decoder_wire import DecoderWireError
from fer_jax.media.video_wire import (
    Ask,
    Said,
    VideoReply,
    VideoRequest,
    receive_video_request,
    send_video_reply,
)

if TYPE_CHECKING:
    import numpy as np

# A decoder of the largest frames holds up to 16 reference frames, and one for each thread.
_BYTES_PER_PIXEL = 120
_MEMORY_BYTES = 1 << 30
_FURTHER_CPU_S = 300.0  # from one message to the next, on all cores together
_ALIVE_EVERY_S = 1.0


class _ClosedError(Exception):
    """The owner does not need the rest of the video."""


class _Slots:
    """The free slots of the memory; the one being filled is kept until it is sent."""

    def __init__(self, wire: socket.socket, memory: mmap.mmap, *, slot_bytes: int) -> None:
        self._wire, self._memory, self._slot_bytes = wire, memory, slot_bytes
        self._free: deque[int] = deque()
        self._taken: int | None = None

    def free(self, slot: int) -> None:
        self._free.append(slot)

    def allocate(self, shape: tuple[int, int, int]) -> np.ndarray:
        """Waits for a free slot.

        Raises:
            _ClosedError: the owner closes the video.
            DecoderWireError: the owner is gone.
        """
        import numpy as np

        while self._taken is None:
            if self._free:
                self._taken = self._free.popleft()
                break
            request = receive_video_request(self._wire)
            if request is None:
                raise DecoderWireError
            if request.kind == Ask.CLOSE:
                raise _ClosedError
            self.free(request.number)
        count, offset = shape[0] * shape[1] * shape[2], self._taken * self._slot_bytes
        return np.frombuffer(self._memory, np.uint8, count=count, offset=offset).reshape(shape)

    def sent(self) -> int:
        """Returns the filled slot, which is now the owner's."""
        assert self._taken is not None
        slot, self._taken = self._taken, None
        return slot


def main(descriptor: int, memory_descriptor: int, max_pixels: int) -> int:
    """Serves the owner at the other end of the socket `descriptor`; returns the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the owner handles Ctrl-C
    leave_no_core_dumps()
    drop_privileges()
    leave_network()
    # Not earlier: these start threads, and a process with threads cannot give up its network.
    import cv2

    import fer_jax.media.video  # noqa: F401  here, so that the memory limit is added to it

    cv2.setNumThreads(0)
    # The memory stays mapped to the end: arrays that refer to it keep it open.
    memory = mmap.mmap(memory_descriptor, 0)
    with socket.socket(fileno=descriptor) as wire:
        limit_memory(_MEMORY_BYTES + _BYTES_PER_PIXEL * max_pixels)
        cpu = CpuLimit()
        slots = _Slots(wire, memory, slot_bytes=3 * max_pixels)
        send_video_reply(wire, VideoReply(Said.READY))
        try:
            while (request := receive_video_request(wire)) is not None:
                if request.kind == Ask.FREE:
                    slots.free(request.number)
                elif request.kind == Ask.OPEN:
                    cpu.allow(_FURTHER_CPU_S)
                    send_video_reply(wire, _played(request, wire, slots, cpu, max_pixels))
        except DecoderWireError:
            return 0  # the owner is gone
    return 0


def _played(
    request: VideoRequest, wire: socket.socket, slots: _Slots, cpu: CpuLimit, max_pixels: int
) -> VideoReply:
    """Sends a video's frames; returns how it ended."""
    from fer_jax.media.video import SampledFrames
    from fer_jax.media.video_container import BadVideoError

    said_s = time.monotonic()

    def say(reply: VideoReply) -> None:
        nonlocal said_s
        said_s = time.monotonic()
        cpu.allow(_FURTHER_CPU_S)
        send_video_reply(wire, reply)

    def alive() -> None:
        if time.monotonic() > said_s + _ALIVE_EVERY_S:
            say(VideoReply(Said.ALIVE))

    assert request.descriptor is not None
    try:
        with os.fdopen(request.descriptor, "rb") as file:
            frames = SampledFrames(
                file,
                every=request.number,
                fps=request.fps or None,
                max_pixels=max_pixels,
                share=(request.share, request.shares),
                allocate=slots.allocate,
                decoded=alive,
            )
            size = frames.width, frames.height
            say(VideoReply(Said.OPENED, 0, *size, frames.frame_count, frames.fps))
            for frame in frames:
                height, width = frame.image.shape[:2]
                say(VideoReply(Said.FRAME, slots.sent(), width, height, frame.index, frame.time_s))
            if frames.ended_early:
                say(VideoReply(Said.CUT, text=frames.ended_early))
            return VideoReply(Said.END, text=frames.note or "")
    except _ClosedError:
        return VideoReply(Said.END)
    except BadVideoError as error:
        return VideoReply(Said.FAILED, text=str(error))
    except MemoryError:
        return VideoReply(Said.FAILED, text="the video needs more memory than a decoder may take")
    except OSError as error:
        return VideoReply(Said.FAILED, text=error.strerror or str(error))


if __name__ == "__main__":
    sys.exit(main(*(int(argument) for argument in sys.argv[1:])))
