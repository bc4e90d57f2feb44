"""How every command reads its line and ends: one clear line and exit code 2 for a user's mistake."""

from __future__ import annotations

import argparse
import contextlib
import errno
import logging
import os
import re
import select
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any, NoReturn

from fer_jax.errors import EXIT_USAGE, FerError
from fer_jax.machine.terminal import printable

_ENDING = signal.SIGINT, signal.SIGTERM
_NO_SPACE = "No space left on device"


class Parser(argparse.ArgumentParser):
    """argparse whose refusals are `FerError`s, so that they too end in one line; has `--verbose`."""

    def __init__(self, **options: Any) -> None:
        """Takes what argparse's does."""
        super().__init__(**options)
        self.add_argument(
            "--verbose", action=_Verbose, nargs=0, help="print informative messages as well"
        )

    def error(self, message: str) -> NoReturn:
        """Raises FerError in place of printing the usage."""
        raise FerError(f"{message}; --help lists what {self.prog} takes")


class _Verbose(argparse.Action):
    def __call__(self, *_: object) -> None:
        print_messages()


def print_messages() -> None:
    """Prints this project's log messages on standard error, informative ones as well."""
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    for package in ("fer_jax", "server"):
        logging.getLogger(package).setLevel(logging.INFO)


def run(main: Callable[[Sequence[str]], int], argv: Sequence[str] | None = None) -> int:
    """Returns the exit code of `main` on `argv` (default: the process's own arguments).

    A `FerError` and a full disk become one line on standard error and exit code 2. Where nobody reads
    the output any more, as after `| head`, it ends as silently as other programs do.
    """
    if signal.getsignal(signal.SIGINT) is _end_at_once:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        code = main(sys.argv[1:] if argv is None else argv)
        if sys.stdout is not None:  # it is where a process was started without one
            sys.stdout.flush()
        return code
    except FerError as error:
        return _refuse(str(error))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 128 + signal.SIGINT
    except BrokenPipeError:
        if not _nobody_reads():
            raise
        _say_nothing_more()
        return 128 + signal.SIGPIPE
    except Exception as error:
        where = full_disk(error)
        if where is None:
            raise
        return _refuse(f"{where}: the disk is full; free some room and run the same command again")


@contextlib.contextmanager
def ends_at_once() -> Iterator[None]:
    """Lets Ctrl-C and SIGTERM end the process with one line, as long as nothing is to be saved.

    Imports take seconds, and an exception inside one comes out as a page of tracebacks.
    """
    before = {number: signal.signal(number, _end_at_once) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_at_once_until_run() -> None:
    """Lets Ctrl-C do so until `run` is called; for the first imports of a command."""
    signal.signal(signal.SIGINT, _end_at_once)


def _end_at_once(number: int, frame: FrameType | None) -> None:
    del frame
    os.write(2, b"interrupted\n")
    os._exit(128 + number)


def _nobody_reads() -> bool:
    """Whether standard output is a pipe whose other end is closed."""
    output = select.poll()
    try:
        output.register(sys.stdout.fileno(), 0)  # errors are told unasked
    except OSError:
        return False  # it is no file
    return bool(output.poll(0))


def _say_nothing_more() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def full_disk(error: BaseException | None) -> str | None:
    """Names what could not be written if `error`, or what caused it, was a full disk; else None.

    Libraries that write through C++ wrap the system's error in a text of their own.
    """
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return str(error.filename or "output")
        if _NO_SPACE in str(error):
            path = re.search(r'"(/[^"]+)"', str(error))
            return path.group(1) if path else "output"
        error = error.__cause__ or error.__context__
    return None


def _refuse(message: str) -> int:
    print(f"error: {printable(message)}", file=sys.stderr)
    return EXIT_USAGE
