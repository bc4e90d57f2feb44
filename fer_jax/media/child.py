"""A process that may crash on the bytes it decodes: started, watched and ended by its owner.

It gets one end of a socket and shared memory, no secrets, and no output to print to.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import signal
import socket
import subprocess

from fer_jax.errors import FerError
from fer_jax.machine.confinement import child_command, child_environment
from fer_jax.media.closing import ClosedAtExit
from fer_jax.media.decoder_wire import shared_memory

_ENDS_WITHIN_S = 1.0  # once its socket is closed


class DecoderUnavailableError(FerError):
    """No decoder process can be started: a problem of the machine, not of an image or video."""


class DecoderChild:
    """One decoder process, or none at the moment.

    Attributes:
        wire: the owner's end of the socket; None while there is no process.
        ready: whether the process has reported its start; set by the owner.
    """

    def __init__(self, module: str, *arguments: int, what: str, memory_bytes: int) -> None:
        """Starts nothing yet.

        Args:
            module: what the process runs, with the descriptors of socket and memory as arguments.
            arguments: numbers that follow them.
            what: what it decodes, for messages.
            memory_bytes: size of the shared memory, which is allocated only when written.
        """
        self.wire: socket.socket | None = None
        self.ready = False
        self._module, self._arguments, self._what = module, arguments, what
        self._memory_bytes = memory_bytes
        self._memory: mmap.mmap | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process's id; None while there is none."""
        return None if self._process is None else self._process.pid

    @property
    def memory(self) -> mmap.mmap:
        """The memory shared with the process; it exists from the first `start` until `close`."""
        assert self._memory is not None
        return self._memory

    def start(self, **environment: str) -> None:
        """Starts the process if there is none, without waiting until it is ready.

        Raises:
            DecoderUnavailableError: it cannot be started.
        """
        if self._process is not None:
            return
        try:
            if self._memory is None:
                self._descriptor = shared_memory(self._memory_bytes)
                self._memory = mmap.mmap(self._descriptor, self._memory_bytes)
            ours, theirs = socket.socketpair()
        except OSError as error:
            raise self.unavailable(error.strerror or str(error)) from error
        with theirs:
            numbers = (theirs.fileno(), self._descriptor)
            try:
                # Libraries' messages about damaged media are useless and can fill a disk.
                self._process = subprocess.Popen(
                    child_command(self._module, *numbers, *self._arguments),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=numbers,
                    start_new_session=True,
                    env=child_environment(**environment),
                )
            except OSError as error:
                ours.close()
                raise self.unavailable(error.strerror or str(error)) from error
        self.wire, self.ready = ours, False

    def died(self) -> bool:
        """Returns whether a started process has ended."""
        return self._process is not None and self._process.poll() is not None

    def end(self, *, within_s: float = _ENDS_WITHIN_S) -> str:
        """Ends the process, by force if it takes too long; returns how it ended."""
        process, wire = self._process, self.wire
        self._process = self.wire = None
        if wire is not None:
            wire.close()
        if process is None:
            return "it was not running"
        try:
            code = process.wait(within_s)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        return how_it_ended(code)

    def close(self) -> None:
        """Ends the process at once and frees the memory; `start` may be called again."""
        self.end(within_s=0)
        if self._memory is not None:
            # An image still in use keeps the memory until it is released.
            with contextlib.suppress(BufferError):
                self._memory.close()
            self._memory = None
            os.close(self._descriptor)

    def unavailable(self, reason: str) -> DecoderUnavailableError:
        """Returns the error for a process that cannot be started."""
        return DecoderUnavailableError(f"the {self._what} decoder cannot be started ({reason})")


class ChildOwner(ClosedAtExit):
    """What owns a decoder process."""

    def __init__(self, child: DecoderChild) -> None:
        """Starts nothing yet."""
        self._child = child

    @property
    def pid(self) -> int | None:
        """The process's id; None while there is none."""
        return self._child.pid

    def close(self) -> None:
        """Ends the process; a later image or video starts a new one."""
        self._child.close()


def how_it_ended(code: int) -> str:
    """Describes an exit code of `subprocess`."""
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"
