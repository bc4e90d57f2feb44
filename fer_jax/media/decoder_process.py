"""A decoder process: `python -m fer_jax.media.decoder_process`, started by a `Decoder`.

It decodes one image after the other, without network access and within limits of memory and time, until
its owner closes the socket. It may crash on an image: its owner starts another.
"""

from __future__ import annotations

import mmap
import signal
import socket
import sys

from fer_jax.machine.allocator import keep_freed
from fer_jax.machine.confinement import (
    CpuLimit,
    drop_privileges,
    leave_network,
    leave_no_core_dumps,
    limit_memory,
)
from fer_jax.media.decoder_wire import (
    DecodeReply,
    DecodeRequest,
    Status,
    receive_request,
    send_reply,
)

# Memory that a decoder may need per pixel of the largest image, and in addition.
_BYTES_PER_PIXEL = 24
_MEMORY_BYTES = 256 << 20
_KEPT_BYTES = 64 << 20  # kept for the next image


def main(descriptor: int, memory_descriptor: int, max_pixels: int) -> int:
    """Serves the owner at the other end of the socket `descriptor`; returns the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the owner handles Ctrl-C
    leave_no_core_dumps()
    drop_privileges()
    leave_network()
    # Not earlier: OpenCV starts threads, and a process with threads cannot give up its network.
    import cv2

    cv2.setNumThreads(0)
    keep_freed(_KEPT_BYTES)
    with (
        socket.socket(fileno=descriptor) as wire,
        mmap.mmap(memory_descriptor, 0) as memory,
    ):
        limit_memory(_MEMORY_BYTES + _BYTES_PER_PIXEL * max_pixels)
        cpu = CpuLimit()
        send_reply(wire, DecodeReply(Status.READY))
        while (request := receive_request(wire)) is not None:
            cpu.allow(request.cpu_s)
            send_reply(wire, _answer(request, memory, max_pixels))
    return 0


def _answer(request: DecodeRequest, memory: mmap.mmap, max_pixels: int) -> DecodeReply:
    import numpy as np

    from fer_jax.media.image_errors import BadImageError, TooManyPixelsError
    from fer_jax.media.images import decode_noted

    try:
        data = memory[: request.size]
        image, note = decode_noted(data, max_pixels=max_pixels, grey=request.grey)
        target = np.frombuffer(memory, np.uint8, count=image.size).reshape(image.shape)
        target[...] = image
        del target  # the memory cannot be closed while an array refers to it
    except TooManyPixelsError as error:
        return DecodeReply(Status.TOO_MANY_PIXELS, message=str(error))
    except BadImageError as error:
        return DecodeReply(Status.BAD_IMAGE, message=str(error))
    except MemoryError:
        return DecodeReply(Status.NO_MEMORY)
    height, width = image.shape[:2]
    return DecodeReply(Status.IMAGE, (height, width, 1 if request.grey else 3), note)


if __name__ == "__main__":
    sys.exit(main(*(int(argument) for argument in sys.argv[1:])))
