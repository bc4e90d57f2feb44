"""How every command reads its line and ends: one clear line and exit code 2 for a user's mistake."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import errno
import importlib.metadata
import importlib.util
import logging
import os
import re
import select
import shutil
import signal
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Literal, NoReturn

from fer_jax.errors import EXIT_USAGE, FerError
from fer_jax.machine.completion import complete
from fer_jax.machine.outputs import FULL_DISK, reason
from fer_jax.machine.terminal import printable
from fer_jax.pretrained import CHECKPOINT_HELP

_ENDING = signal.SIGINT, signal.SIGTERM
_SIGPIPE = getattr(signal, "SIGPIPE", 13)  # Windows does not have it
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP)
_NO_SPACE = "No space left on device"
_TRAINING = ("tensorflow_datasets", "array_record", "ml_collections")  # of the extra [train]


class Parser(argparse.ArgumentParser):
    """An argparse parser whose refusals are one-line `FerError`s.

    Every command has `--verbose`, `--quiet` and `--version`, and an example in its `--help`.
    """

    def __init__(self, command: str = "", *, example: str = "", **options: Any) -> None:
        """Makes the parser of `fer-jax COMMAND`.

        Args:
            command: its name.
            example: one or more command lines, shown below the options.
            options: as argparse takes them.
        """
        shown = "example:\n" + textwrap.indent(textwrap.dedent(example).strip(), "  ")
        own: dict[str, Any] = {
            "prog": f"fer-jax {command}".rstrip(),
            "formatter_class": argparse.RawDescriptionHelpFormatter,
            "epilog": shown if example else None,
            "allow_abbrev": False,
        }
        super().__init__(**{**own, **options})
        self._completed = False
        add = self.add_argument
        add("--verbose", action=_Verbose, nargs=0, help="print informative messages as well")
        add("--quiet", action="store_true", help="print only results and errors")
        add("--version", action=_Version, nargs=0, help="print the version and exit")

    def parse_known_args(self, *line: Any, **options: Any) -> Any:  # type: ignore[override]
        """Parses, unless the shell asks for completions, which parses again."""
        if not self._completed:
            self._completed = True
            complete(self)
        return super().parse_known_args(*line, **options)

    def error(self, message: str) -> NoReturn:
        """Raises FerError in place of printing the usage."""
        flag = re.match("unrecognized arguments: (--[^ =]+)", message)
        known = [name for name in self._option_string_actions if name.startswith("--")]
        near = difflib.get_close_matches(flag.group(1), known, n=1) if flag else []
        hint = f"did you mean {near[0]}? " if near else ""
        raise FerError(f"{message}; {hint}--help lists what {self.prog} takes")


def add_checkpoint(parser: argparse.ArgumentParser) -> None:
    """Adds `--checkpoint`, which names the network, to a command."""
    parser.add_argument("--checkpoint", metavar="NAME|DIR", help=CHECKPOINT_HELP)


def add_detector(
    parser: argparse.ArgumentParser, *, detectors: Sequence[str], detect_size: int
) -> None:
    """Adds `--detector` and `--detect-size` to a command.

    Args:
        parser: of the command.
        detectors: names to choose from; the first is the default.
        detect_size: the default of `--detect-size`.
    """
    parser.add_argument(
        "--detector",
        choices=detectors,
        default=detectors[0],
        help='default %(default)s; "none": the images are face crops already',
    )
    add_detect_size(parser, default=detect_size)


def add_detect_size(parser: argparse.ArgumentParser, *, default: int) -> None:
    """Adds `--detect-size` to a command."""
    parser.add_argument(
        "--detect-size",
        type=_detect_size,
        default=default,
        metavar="N|full",
        help="longer side in pixels of the copy that is searched for faces; "
        '"full" for tiny faces; default %(default)s',
    )


def count(text: str) -> int:
    """Reads a flag's whole number, 1 or more."""
    with contextlib.suppress(ValueError):
        if int(text) >= 1:
            return int(text)
    raise argparse.ArgumentTypeError(f"{text}: expected a whole number, 1 or more")


def number(
    kind: type[int] | type[float], least: float, most: float
) -> Callable[[str], int | float]:
    """Returns what reads a flag's number from `least` to `most`, whole if `kind` is int."""

    def read(text: str) -> int | float:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not least <= value <= most:
            what = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"{text!r}: expected {what} from {least} to {most}")
        return value

    return read


def _detect_size(text: str) -> int | Literal["full"]:
    return "full" if text == "full" else count(text)


class _Verbose(argparse.Action):
    def __call__(self, *_: object) -> None:
        print_messages()


class _Version(argparse.Action):
    def __call__(self, *_: object) -> None:
        print(f"fer_jax {importlib.metadata.version('fer_jax')}")
        raise SystemExit(0)


def speaker(*, quiet: bool) -> Callable[[str], None]:
    """Returns what prints a command's messages, which are not its results: nothing if `quiet`."""

    def say(line: str) -> None:
        if not quiet:
            print(line, flush=True)

    return say


def require_training(command: str) -> None:
    """Checks that what only training and data sets need is installed.

    Raises:
        FerError: it is not.
    """
    missing = [name for name in _TRAINING if importlib.util.find_spec(name) is None]
    if missing:
        raise FerError(
            f'{command} needs {", ".join(missing)}; pip install "fer_jax[train]" installs it'
        )


def print_messages() -> None:
    """Prints this project's log messages on standard error, informative ones as well."""
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    for package in ("fer_jax", "server"):
        logging.getLogger(package).setLevel(logging.INFO)


def run(main: Callable[[Sequence[str]], int], argv: Sequence[str] | None = None) -> int:
    """Returns the exit code of `main` on `argv` (default: the process's own arguments).

    A `FerError`, a full disk and a name that the system refuses become one line on standard error and
    exit code 2. Where nobody reads the output any more, as after `| head`, it ends as silently as other
    programs do.
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
        return 128 + _SIGPIPE
    except Exception as error:
        where = full_disk(error)
        if where is not None:
            return _refuse(
                f"{where}: the disk is full; free some room and run the same command again"
            )
        if not isinstance(error, OSError) or error.errno not in _REFUSED or error.filename is None:
            raise
        return _refuse(f"{printable(os.fsdecode(error.filename))}: {reason(error)}")


@contextlib.contextmanager
def ends_at_once(*, removing: Path | None = None) -> Iterator[None]:
    """Lets Ctrl-C and SIGTERM end the process with one line, as long as nothing is to be saved.

    Imports take seconds, and an exception inside one comes out as a page of tracebacks.

    Args:
        removing: a temporary folder that goes, too.
    """

    def end(number: int, frame: FrameType | None) -> None:
        if removing is not None:
            shutil.rmtree(removing, ignore_errors=True)
        _end_at_once(number, frame)

    before = {number: signal.signal(number, end) for number in _ENDING}
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
    if not hasattr(select, "poll"):
        return True  # on Windows nothing else breaks a pipe
    output = select.poll()
    try:
        output.register(sys.stdout.fileno(), 0)  # errors are reported without asking
    except OSError:
        return False  # it is not a file
    return bool(output.poll(0))


def _say_nothing_more() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def full_disk(error: BaseException | None) -> str | None:
    """Names what could not be written if `error`, or its cause, was a full disk; otherwise None.

    Libraries that write through C++ wrap the system's error in their own text.
    """
    while error is not None:
        if isinstance(error, OSError) and error.errno in FULL_DISK:
            return str(error.filename or "output")
        if _NO_SPACE in str(error):
            path = re.search(r'"(/[^"]+)"', str(error))
            return path.group(1) if path else "output"
        error = error.__cause__ or error.__context__
    return None


def _refuse(message: str) -> int:
    print(f"error: {printable(message)}", file=sys.stderr)
    return EXIT_USAGE
