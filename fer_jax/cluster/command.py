"""`fer-jax score --engine ray`: checks the flags and names the inputs for a run on a cluster."""

from __future__ import annotations

import argparse
import os
import secrets
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from fer_jax.cluster import storage
from fer_jax.cluster.parts import Parts
from fer_jax.cluster.run import cluster, require_ray, run_on_cluster
from fer_jax.cluster.worker import Job
from fer_jax.errors import FerError
from fer_jax.machine.outputs import is_missing
from fer_jax.machine.terminal import printable
from fer_jax.media.inputs import expand_inputs, listed_names
from fer_jax.scoring.progress import ScoringProgress
from fer_jax.scoring.run import Outcome

_STDIN = "-"
_NOT_HERE = ("annotate", "summary")  # one process would have to write them


def score_on_cluster(
    options: argparse.Namespace, stdin: BinaryIO | None, reporter: ScoringProgress
) -> Outcome:
    """Scores what the command's `options` name.

    Raises:
        FerError: a flag that cannot be used on a cluster, no input, or what a run raises.
    """
    check_flags(options)
    names = input_names(options.inputs, stdin)
    first = next(names, None)
    if first is None:
        raise FerError(f"{' '.join(options.inputs)}: holds no image and no video; name one")

    def every() -> Iterator[str]:
        yield first
        yield from names

    with cluster(options.address):  # before JAX is imported: it starts processes by forking
        return run_on_cluster(every(), _job(options), reporter, workers=options.workers)


def check_flags(options: argparse.Namespace) -> None:
    """Raises FerError for a flag that a run on a cluster has no use for, or one that it needs."""
    require_ray()
    if options.out in (None, "-"):
        raise FerError("--engine ray: name a folder that every node can write with --out")
    for name in _NOT_HERE:
        if getattr(options, name) is not None:
            raise FerError(f"--{name}: not available with --engine ray; leave it out")
    if options.safe_csv and Path(storage.shown(options.out)).suffix.lower() != ".csv":
        raise FerError(f"--safe-csv: expected an --out that ends in .csv, got {options.out}")
    Parts(options.out)
    if not storage.is_uri(options.out) and is_missing(Path(options.out).absolute().parent):
        raise FerError(
            f"--out {printable(options.out)}: its folder does not exist; create it first"
        )


def input_names(inputs: Sequence[str], stdin: BinaryIO | None) -> Iterator[str]:
    """Yields the files, and the URIs of files, that `inputs` name; see `expand_inputs`."""
    for text in inputs:
        if text == _STDIN and stdin is not None:
            for name in listed_names(stdin):
                yield from _names(os.fsdecode(name))
        else:
            yield from _names(text)


def _names(text: str) -> Iterator[str]:
    if text.startswith("file://"):
        text = urllib.request.url2pathname(urllib.parse.urlsplit(text).path)
    if storage.is_uri(text):
        yield from storage.listed(text)
    else:
        yield from map(str, expand_inputs([text]))


def _job(options: argparse.Namespace) -> Job:
    from fer_jax.saved_model import load_model  # JAX: no mistake in a flag waits for it

    checkpoint = options.checkpoint
    if checkpoint is not None and os.path.exists(checkpoint):
        checkpoint = os.path.abspath(checkpoint)
    out = options.out
    if not storage.is_uri(out):
        out = os.path.abspath(out)
    return Job(
        out=out,
        run=secrets.token_hex(8),
        checkpoint=checkpoint,
        digest=load_model(options.checkpoint).digest,
        detector=options.detector,
        detect_size=options.detect_size,
        every=options.every,
        fps=options.fps,
        max_pixels=options.max_pixels,
        batch_size=options.batch_size,
        safe_csv=options.safe_csv,
        threads=1,
        folder=os.getcwd(),
        first_frame=options.first_frame,
        rotate=options.rotate == "auto",
    )
