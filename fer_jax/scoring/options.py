"""Command line options of `score`: which there are, the run they ask for, and what cannot end well."""

from __future__ import annotations

import argparse
import contextlib
import glob
import os
from pathlib import Path

from fer_jax import command
from fer_jax.errors import FerError
from fer_jax.faces.detect import DETECT_SIZE, DETECTORS, Detector, make_detector
from fer_jax.inference import MAX_BATCH
from fer_jax.machine.terminal import printable
from fer_jax.media.images import MAX_PIXELS
from fer_jax.media.inputs import common_parent
from fer_jax.media.shards import is_shard
from fer_jax.scoring.outputs import check_outputs
from fer_jax.scoring.run import ScoringOptions

STDOUT = "-"


def add_scoring_options(parser: command.Parser) -> None:
    """Adds the inputs and every option of the command."""
    add = parser.add_argument
    add("inputs", nargs="+", metavar="INPUT", help='photo, video, folder, shard, or "-": a list')
    add(
        "--out",
        metavar="FILE",
        help='write rows to this .csv, .jsonl or .parquet; "-" prints csv; '
        "without it a table is printed",
    )
    command.add_checkpoint(parser)
    command.add_detector(parser, detectors=DETECTORS, detect_size=DETECT_SIZE)
    _add_frames(parser)
    _add_outputs(parser)
    add("--max-pixels", type=command.count, default=MAX_PIXELS, help="refuse larger images")
    add("--batch-size", type=command.count, default=MAX_BATCH, help="faces recognised together")
    _add_cluster(parser)


def prints_rows(line: argparse.Namespace) -> bool:
    """Whether the rows are printed, and kept in no file."""
    return line.out in (None, STDOUT)


def scoring_options(line: argparse.Namespace, *, out: Path) -> ScoringOptions:
    """Returns the run that a command line requests, with its rows in `out`."""
    return ScoringOptions(
        out=out,
        resume=line.resume,
        detector=line.detector,
        detect_size=line.detect_size,
        every=line.every,
        fps=line.fps,
        first_frame=line.first_frame,
        rotate=line.rotate == "auto",
        max_pixels=line.max_pixels,
        batch_size=line.batch_size,
        annotate=line.annotate,
        parent=common_parent(line.inputs),
        summary=line.summary,
        safe_csv=line.safe_csv,
        temporary=prints_rows(line),
    )


def check_options(line: argparse.Namespace, settings: ScoringOptions) -> Detector:
    """Refuses what cannot end well, before the network is loaded, and returns the detector.

    Args:
        line: the command line.
        settings: its `scoring_options`.

    Raises:
        FerError: options that exclude each other, no input, no such detector, or an output that
            cannot be written.
    """
    inputs, out = line.inputs, line.out
    for flag in ("address", "workers"):
        if getattr(line, flag) is not None:
            raise FerError(f"--{flag}: is for runs on a cluster; add --engine ray")
    if found := next((text for text in inputs if "://" in text), None):
        raise FerError(f"{printable(found.partition('?')[0])}: URIs are read with --engine ray")
    if all(_matches_nothing(text) for text in inputs):
        raise FerError(f"no input matched {' '.join(inputs)}; name a photo, a video or a folder")
    if settings.safe_csv and (out is None or settings.out.suffix.lower() != ".csv"):
        raise FerError(f"--safe-csv: expected an --out that ends in .csv, got {out or 'no --out'}")
    if settings.annotate is not None and any(map(is_shard, inputs)):
        raise FerError("--annotate: images of shards get no copies; leave it out, or unpack them")
    detector = make_detector(settings.detector, detect_size=settings.detect_size)
    check_outputs(inputs, out=settings.out, summary=settings.summary, annotate=settings.annotate)
    return detector


def _add_frames(parser: command.Parser) -> None:
    frames = parser.add_mutually_exclusive_group()
    frames.add_argument(
        "--every", type=command.count, default=1, help="every N-th frame of a video"
    )
    frames.add_argument("--fps", type=_rate, help="at most F frames a second of a video")
    parser.add_argument(
        "--first-frame",
        action="store_true",
        help="score only the first frame of an animation or the first page of an image",
    )
    parser.add_argument(
        "--rotate",
        choices=("off", "auto"),
        default="off",
        help="auto: also find faces in images that lie on their side or upside down",
    )


def _add_outputs(parser: command.Parser) -> None:
    add = parser.add_argument
    add("--annotate", type=Path, metavar="DIR", help="write annotated copies there")
    add("--summary", type=Path, metavar="HTML", help="write an HTML page that shows what was found")
    add(
        "--append",
        "--resume",
        dest="resume",
        action="store_true",
        help="keep the rows of an interrupted run, or of --out, and score what is missing",
    )
    add(
        "--safe-csv",
        action="store_true",
        help="put a ' before texts of a .csv that a spreadsheet would run as formulas",
    )
    add("--strict", action="store_true", help="exit code 1 if something was unreadable")


def _add_cluster(parser: command.Parser) -> None:
    add = parser.add_argument
    add(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help='"ray": on a Ray cluster, also with URIs; --out becomes a folder of parts',
    )
    add(
        "--address",
        metavar="HOST:PORT",
        help="a running Ray cluster; default: start one on this machine",
    )
    add(
        "--workers",
        type=command.count,
        metavar="N",
        help="number of workers; default: one per GPU, or per core without GPUs",
    )


def _rate(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 < float(text) < float("inf"):
            return float(text)
    raise argparse.ArgumentTypeError(f"{text}: expected frames a second, more than 0")


def _matches_nothing(text: str) -> bool:
    pattern = any(sign in text for sign in "*?[") and not os.path.lexists(text)
    return pattern and next(glob.iglob(text, recursive=True), None) is None
