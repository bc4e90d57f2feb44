"""Trains a network: faces in, a workdir out.

The workdir holds checkpoints, config.json, history.jsonl, timing.jsonl, history.png, confusion.png,
report.json and card.json. Stopped at any moment, the same command resumes. `--config.KEY=VALUE` changes
a setting of the recipe; fer_jax/config/schema.py lists them.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from fer_jax import command
from fer_jax.config import command_line
from fer_jax.config.recipes import recipe_names
from fer_jax.errors import FerError
from fer_jax.machine.member import Membership, announced, end_with_parent, is_member, run_member

_EXAMPLE = """\
fer-jax train
fer-jax train --config crowd --data FER2013 --out runs/crowd --config.epochs=10
"""


def main(argv: Sequence[str]) -> int:
    """Runs the command with the arguments `argv` and returns its exit code."""
    parser = _parser()
    options, overrides = parser.parse_known_args(argv)
    for argument in overrides:
        if argument.startswith("-") and not argument.startswith("--config."):
            parser.error(f"unrecognized arguments: {argument}")
    if options.data is not None:
        overrides.append(f"--config.data.dir={options.data}")
    command.require_training("training")
    with command.ends_at_once():  # a model's arguments are checked by the model, which imports JAX
        config, file = command_line.read_config(options.config, overrides)
    place = _place(options)
    clustered = place is not None or announced(os.environ)
    if clustered and not is_member(os.environ):
        return run_member("fer_jax.train", argv)
    with command.ends_at_once():  # JAX: no mistake in a flag waits for it
        from fer_jax.machine import cluster
        from fer_jax.training.session import run_training

    def train() -> int:
        return run_training(
            config,
            options.out or Path("runs") / file.stem,
            resume=options.resume,
            profile=options.profile,
            quiet=options.quiet,
            command_line=shlex.join(["python", "-m", "fer_jax.train", *argv]),
            place=place,
            search_for_cluster=clustered,
        )

    if not clustered:
        return train()
    end_with_parent()
    return cluster.ends_at_once(lambda: command.run(lambda _: train()))


def _place(options: argparse.Namespace) -> Membership | None:
    given = options.coordinator, options.processes, options.process_id
    if given == (None, None, None):
        return None
    if None in given:
        raise FerError("--coordinator, --processes and --process-id: give all three or none")
    host, _, port = options.coordinator.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise FerError(f"--coordinator {options.coordinator}: expected HOST:PORT of process 0")
    if not 0 <= options.process_id < options.processes:
        raise FerError(
            f"--process-id {options.process_id}: expected a number from 0 to {options.processes - 1}"
        )
    return Membership(*given)


def _parser() -> argparse.ArgumentParser:
    parser = command.Parser("train", example=_EXAMPLE, description=__doc__)
    add = parser.add_argument
    add(
        "--config",
        default="base",
        metavar="RECIPE",
        help=f"a shipped recipe ({', '.join(recipe_names())}; default %(default)s) or a file's path",
    )
    add(
        "--data",
        metavar="DIR",
        help="folder, csv or archive of faces; default $FER_DATA_DIR or data/",
    )
    add(
        *("--out", "--workdir"),
        type=Path,
        metavar="DIR",
        help="folder of the run; default runs/RECIPE",
    )
    add(
        "--resume",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="resume the run in --out, if there is one; --no-resume removes it and starts over",
    )
    add("--noresume", dest="resume", action="store_false", help=argparse.SUPPRESS)
    add(
        "--profile",
        type=Path,
        metavar="DIR",
        help="write a trace of ten steps there, for TensorBoard or Perfetto",
    )
    add(
        "--coordinator",
        metavar="HOST:PORT",
        help="train with other processes: where process 0 listens for them. Slurm, Kubernetes jobs, "
        "Open MPI and TPU pods need none of these three",
    )
    add(
        "--processes",
        type=command.count,
        metavar="N",
        help="number of processes that train together",
    )
    add("--process-id", type=int, metavar="I", help="number of this process, from 0")
    return parser


if __name__ == "__main__":
    sys.exit(command.run(main))
