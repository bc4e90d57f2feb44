"""The server's handle of one capture process: started, read by a thread, killed, always reaped."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import subprocess
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar, cast

from fer_jax.machine.confinement import child_command, child_environment
from server.cameras.wire import (
    CapturedImage,
    Demand,
    Order,
    Report,
    WireError,
    line,
    receive,
    widen,
)

_T = TypeVar("_T")

COMMAND = tuple(child_command("server.cameras.capture_process"))

_ENDS_WITHIN_S = 0.3  # after its input closed or SIGTERM; a healthy process needs milliseconds
_REAPED_WITHIN_S = 2.0  # after SIGKILL; one that hangs inside a driver may take longer


class CaptureProcess:
    """A running capture process. Create it on the loop; `ended` is done when it is reaped.

    Attributes:
        ended: its exit code, as subprocess gives it (negative: the signal that ended it).
    """

    def __init__(
        self,
        name: str,
        order: Order,
        demand: Demand,
        *,
        on_image: Callable[[CapturedImage], None],
        on_report: Callable[[Report], None],
        command: Sequence[str] = COMMAND,
    ) -> None:
        """Starts the process.

        Args:
            name: the camera's, for the thread's name.
            order: what to open.
            demand: the initial demand.
            on_image: called by the reading thread for each image; it may block.
            on_report: called on the loop.
            command: the program; it receives the order on its standard input.

        Raises:
            OSError: it cannot be started.
        """
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[int] = self._loop.create_future()
        self._on_image, self._on_report = on_image, on_report
        # Its own session: the server handles Ctrl-C in the terminal. Standard error is
        # dropped, because libraries print addresses with passwords; errors arrive as reports.
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,
            env=child_environment(),
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        if hasattr(os, "set_blocking"):  # not on Windows before Python 3.12
            os.set_blocking(self._stdin.fileno(), False)
        widen(self._stdout.fileno())
        self._send(line(order) + line(demand))
        self._reader = threading.Thread(target=self._read, name=f"read-{name}", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def ask(self, demand: Demand) -> None:
        """Sends the process a new demand; a dead or hung one misses it."""
        self._send(line(demand))

    async def end(self) -> bool:
        """Ends the process: its input closes, then SIGTERM, then SIGKILL.

        Returns:
            Whether it has ended. One that hangs inside the kernel stays until the kernel releases it;
            the reading thread reaps it then.
        """
        for stop, within_s in (
            (self._close_stdin, _ENDS_WITHIN_S),
            (self._process.terminate, _ENDS_WITHIN_S),
            (self._process.kill, _REAPED_WITHIN_S),
        ):
            if not self.ended.done():
                stop()
                await asyncio.wait([self.ended], timeout=within_s)
        if self.ended.done():
            self._reader.join()  # its work is done
        return self.ended.done()

    def _send(self, data: bytes) -> None:
        with contextlib.suppress(BlockingIOError, BrokenPipeError, ValueError):
            self._stdin.write(data)  # a hung process's full pipe must not block the loop

    def _close_stdin(self) -> None:
        with contextlib.suppress(OSError):
            self._stdin.close()

    def _read(self) -> None:
        """Body of the reading thread: messages until the pipe ends, then the exit code."""
        try:
            while (message := receive(cast(io.FileIO, self._stdout))) is not None:
                if isinstance(message, CapturedImage):
                    self._on_image(message)
                else:
                    self._call_on_loop(self._on_report, message)
        except WireError as error:
            self._call_on_loop(self._on_report, Report(trouble="reconnecting", reason=str(error)))
            self._process.kill()
        finally:
            self._stdout.close()
            code = self._process.wait()
            self._call_on_loop(self._finish, code)

    def _finish(self, code: int) -> None:
        self._close_stdin()
        if not self.ended.done():
            self.ended.set_result(code)

    def _call_on_loop(self, call: Callable[[_T], None], value: _T) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(call, value)
