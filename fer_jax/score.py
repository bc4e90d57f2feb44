"""Finds the faces in photos and videos and classifies their expressions: one row per face, none lost.

Faces of an image are numbered from left to right. An input without a face, and one that cannot be read,
have a row too. `--resume` continues an interrupted run.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import shutil
import signal
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, BinaryIO, cast

from fer_jax import command
from fer_jax.errors import FerError
from fer_jax.faces.detect import Detector
from fer_jax.machine.terminal import printable
from fer_jax.media.inputs import expand_inputs
from fer_jax.scoring.options import (
    STDOUT,
    add_scoring_options,
    check_options,
    prints_rows,
    scoring_options,
)
from fer_jax.scoring.progress import ScoringProgress
from fer_jax.scoring.run import Outcome, ScoringOptions, run
from fer_jax.scoring.shards import input_count
from fer_jax.scoring.table import table
from fer_jax.scoring.writers import read_rows

if TYPE_CHECKING:
    from fer_jax.inference.predictor import Predictor

_STDIN = "-"
_EXAMPLE = """\
fer-jax score photo.jpg
fer-jax score photos/ clip.mp4 --out faces.csv --annotate seen --summary faces.html
"""


class Stopped(BaseException):
    """The run was asked to stop, by Ctrl-C or a signal."""

    def __init__(self, number: int) -> None:
        """Was stopped by the signal `number`."""
        super().__init__(number)
        self.number = number


def main(argv: Sequence[str]) -> int:
    """Runs the command with the arguments `argv` and returns its exit code.

    0, also with unreadable inputs; 1 if no input could be read, or with one in the output under
    --strict; 130 or 143 when stopped.
    """
    parser = command.Parser("score", example=_EXAMPLE, description=__doc__)
    add_scoring_options(parser)
    options = parser.parse_args(argv)
    if options.engine == "ray":
        return _on_cluster(options)
    with _output(options) as out:
        settings = scoring_options(options, out=out)
        detector = check_options(options, settings)
        try:
            outcome, seconds = _score(options, settings, detector)
        except Stopped as stop:
            print(_stopped_line(options), file=sys.stderr)
            return 128 + stop.number
        _deliver(options, out, _closing_line(outcome, options, seconds=seconds))
    return _exit_code(outcome, strict=options.strict)


def _on_cluster(options: argparse.Namespace) -> int:
    from fer_jax.cluster.command import check_flags, score_on_cluster  # may need Ray

    check_flags(options)
    with _stoppable(), ScoringProgress(quiet=options.quiet) as reporter:
        try:
            outcome = score_on_cluster(options, _stdin(options.inputs), reporter)
        except Stopped as stop:
            print("stopped; the same command resumes from the finished parts", file=sys.stderr)
            return 128 + stop.number
    if not options.quiet:
        print(_closing_line(outcome, options, seconds=reporter.seconds()))
    return _exit_code(outcome, strict=options.strict)


def _exit_code(outcome: Outcome, *, strict: bool) -> int:
    unreadable = outcome.inputs["unreadable"]
    if strict:
        return 1 if unreadable + outcome.kept_unreadable else 0
    return 1 if 0 < unreadable == sum(outcome.inputs.values()) else 0


@contextlib.contextmanager
def _output(options: argparse.Namespace) -> Iterator[Path]:
    """Gives the file that the rows go to; what is printed is collected in a temporary one."""
    if not prints_rows(options):
        yield Path(options.out)
        return
    if options.resume:
        raise FerError("--resume: there is no file to continue; name it with --out")
    with tempfile.TemporaryDirectory(prefix="fer_jax-") as folder:
        yield Path(folder, "faces.csv")


def _score(
    options: argparse.Namespace, settings: ScoringOptions, detector: Detector
) -> tuple[Outcome, float]:
    """Scores all inputs and returns what was found and the seconds it took."""
    with _stoppable():
        paths = _paths(options.inputs)
        temporary = settings.out.parent if settings.temporary else None
        with command.ends_at_once(removing=temporary):  # nothing to keep yet, and JAX to import
            predictor = _load(
                options.checkpoint, batch_size=settings.batch_size, quiet=options.quiet
            )
        count = None
        if _STDIN not in options.inputs:
            count = lambda: input_count(expand_inputs(options.inputs))  # noqa: E731
        with ScoringProgress(count=count, quiet=options.quiet) as reporter:
            outcome = run(paths, predictor, detector, settings, reporter)
        return outcome, reporter.seconds()


def _deliver(options: argparse.Namespace, out: Path, closing: str) -> None:
    """Prints the requested output: the rows, a table of them, or the number written."""
    if options.out == STDOUT:
        with out.open(encoding="utf-8", newline="") as file:
            shutil.copyfileobj(file, sys.stdout)
    elif options.out is None:
        print(table(read_rows(out)))
    if not options.quiet:
        print(closing, file=sys.stderr if prints_rows(options) else sys.stdout)


def _paths(inputs: Sequence[str]) -> Iterator[Path]:
    """Gives the inputs' files; there is at least one."""
    paths = expand_inputs(inputs, _stdin(inputs))
    first = next(paths, None)
    if first is None:
        raise FerError(f"{' '.join(inputs)}: holds no image and no video; name one, or its folder")
    return itertools.chain([first], paths)


def _stdin(inputs: Sequence[str]) -> BinaryIO | None:
    # Without a buffer: a thread that still waits for a name must not hold Python's lock at exit.
    return cast(BinaryIO, io.FileIO(0, closefd=False)) if _STDIN in inputs else None


def _load(checkpoint: str | None, *, batch_size: int, quiet: bool) -> Predictor:
    from fer_jax.inference.predictor import Predictor  # JAX: no mistake in a flag waits for it

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        predictor = Predictor.load(checkpoint, max_batch=batch_size)
    for warning in () if quiet else caught:
        print(f"note: {printable(str(warning.message))}", file=sys.stderr)
    return predictor


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """Makes the first Ctrl-C or SIGTERM raise `Stopped`; a second one ends the process at once."""
    numbers = signal.SIGINT, signal.SIGTERM

    def stop(number: int, frame: FrameType | None) -> None:
        del frame
        for each in numbers:
            signal.signal(each, signal.SIG_DFL)
        raise Stopped(number)

    before = [signal.signal(number, stop) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _stopped_line(options: argparse.Namespace) -> str:
    if prints_rows(options):
        return "stopped; nothing is kept: with --out FILE, --resume continues a stopped run"
    return (
        "stopped; what is finished is kept: the same command with --resume continues and "
        f"writes {printable(options.out)}"
    )


def _closing_line(outcome: Outcome, options: argparse.Namespace, *, seconds: float) -> str:
    inputs = outcome.inputs
    per_second = 1 / max(seconds, 1e-9)
    kept = outcome.kept_unreadable
    name = "" if prints_rows(options) else f"{printable(options.out)}: "
    return (
        f"{name}{_number(outcome.faces, 'face')} in {_number(sum(inputs.values()), 'file')}: "
        f"{inputs['ok']:,} ok, {inputs['no_face']:,} no_face, {inputs['unreadable']:,} unreadable"
        f"{f' ({kept:,} more among the rows that were kept)' if kept else ''}; "
        f"{seconds:.1f} s, {outcome.scored_now * per_second:,.1f} files/s, "
        f"{outcome.faces_now * per_second:,.1f} faces/s"
    )


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


if __name__ == "__main__":
    sys.exit(command.run(main))
