"""Training throughput beside Keras on TensorFlow: `make bench-train`, with options in ARGS.

Every side is a process of its own that is set up and warmed up once; then they take turns, and only
one computes at a time. Our sides run the whole training loop, augmentation included; Keras gets
ready-made batches, so that what is compared is to Keras's advantage.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from turns import Player, Turn, alternating, has_module

from fer_jax import command
from fer_jax.errors import FerError
from fer_jax.machine.processor import usable_cores
from fer_jax.models import MODELS

_HERE = Path(__file__).resolve().parent
_COMPARED = "seed_cnn"  # the network that exists on both sides
_KERAS = f"{_COMPARED}, Keras on TensorFlow"
_WARM_UP_STEPS = 2  # the first compiles
_BATCHES_TIMED = 20


class Side(NamedTuple):
    """One row of the table."""

    name: str
    command: list[str]
    ours: bool


def main(argv: Sequence[str]) -> int:
    """Runs the command with the arguments `argv` and returns its exit code."""
    options = _parser().parse_args(argv)
    _check(options)
    sides = _sides(options)
    cores, load = usable_cores(), os.getloadavg()[0]
    print(
        f"{options.rounds} rounds of {options.steps} steps of {options.batch_size} faces on "
        f"{cores} core(s)" + (f"; busy with other work (load {load:.1f})" if load > 0.5 else "")
    )
    players: dict[str, Player] = {}
    try:
        for side in sides:
            players[side.name] = Player(side.name, side.command)
            players[side.name].play("steps", _WARM_UP_STEPS)
            print(f"ready: {side.name} ({players[side.name].about})", flush=True)
        turns = _take_turns(players, steps=options.steps, rounds=options.rounds)
        ours = [side.name for side in sides if side.ours] if options.augmentation else []
        augmenting = {name: players[name].play("batches", _BATCHES_TIMED) for name in ours}
    except ChildProcessError as error:
        raise FerError(str(error)) from error
    finally:
        for player in players.values():
            player.close()
    rows = _rows(turns, options)
    for name, turn in augmenting.items():
        step = options.batch_size / rows[name]["images_per_second"]
        rows[name]["augmentation_share_of_step"] = turn.seconds / _BATCHES_TIMED / step
    _print(rows)
    if options.json:
        setting = {key: getattr(options, key) for key in ("model", "batch_size", "steps", "rounds")}
        Path(options.json).write_text(
            json.dumps({**setting, "cores": cores, "rows": rows}, indent=2)
        )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = command.Parser(prog="train_throughput.py", description=__doc__)
    parser.add_argument("--model", default=_COMPARED, choices=list(MODELS), help="network to train")
    parser.add_argument("--batch-size", type=int, default=64, help="faces a step")
    parser.add_argument("--steps", type=int, default=8, help="steps a turn")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each side")
    parser.add_argument(
        "--devices", type=int, default=0, help="simulated CPU devices of ours; 0: one a core"
    )
    parser.add_argument(
        "--augmentation", action="store_true", help="also time augmentation as a share of a step"
    )
    parser.add_argument(
        "--keras-python",
        default=".venv-keras/bin/python",
        help="Python of the environment with benchmarks/keras-requirements.txt",
    )
    parser.add_argument("--json", help="file to write the figures to")
    return parser


def _check(options: argparse.Namespace) -> None:
    for name in ("batch_size", "steps", "rounds"):
        if getattr(options, name) < 1:
            raise FerError(
                f"--{name.replace('_', '-')}={getattr(options, name)}: expected 1 or more"
            )
    if options.devices < 0 or (options.devices and options.batch_size % options.devices):
        raise FerError(
            f"--devices={options.devices} does not divide --batch-size={options.batch_size}"
        )
    if options.model == _COMPARED and not has_module(options.keras_python, "tensorflow"):
        raise FerError(
            f"{options.keras_python}: no Python with TensorFlow; `make bench-train` installs one, or "
            "name another with --keras-python"
        )


def _sides(options: argparse.Namespace) -> list[Side]:
    most = _WARM_UP_STEPS + options.steps * options.rounds
    size = ["--batch-size", str(options.batch_size)]

    def ours(model: str, devices: int) -> Side:
        line = [sys.executable, str(_HERE / "side_fer_jax.py"), "--model", model, *size]
        line += ["--devices", str(devices), "--most-steps", str(most)]
        spread = f"{devices} device(s)" if devices else "a device a core"
        return Side(f"{model}, fer_jax, {spread}", line, ours=True)

    def keras(name: str, *more: str) -> Side:
        line = [options.keras_python, str(_HERE / "side_keras.py"), *size, *more]
        return Side(name, line, ours=False)

    sides = [ours(options.model, options.devices)]
    if options.devices != 1:
        sides.append(ours(options.model, 1))
    if options.model == _COMPARED:
        sides += [keras(_KERAS), keras(f"{_KERAS}, jit_compile", "--xla")]
        sides.append(ours("resnet_small", options.devices))
    return sides


def _take_turns(players: Mapping[str, Player], *, steps: int, rounds: int) -> dict[str, list[Turn]]:
    """Every side's turns; every other round goes backwards, so that no side gains by its place."""
    turns: dict[str, list[Turn]] = {name: [] for name in players}
    for name in alternating(players, rounds):
        turns[name].append(players[name].play("steps", steps))
    return turns


def _rows(
    turns: Mapping[str, list[Turn]], options: argparse.Namespace
) -> dict[str, dict[str, Any]]:
    images = options.steps * options.batch_size
    rates = {name: [images / turn.seconds for turn in row] for name, row in turns.items()}
    rows: dict[str, dict[str, Any]] = {}
    for name, row in turns.items():
        cpu = [1e3 * turn.cpu_seconds / images for turn in row]
        rows[name] = {
            "images_per_second": statistics.median(rates[name]),
            "images_per_second_by_round": rates[name],
            "cpu_ms_per_image": statistics.median(cpu),
        }
        if _KERAS in rates and name.startswith(_COMPARED):
            ratios = [
                ours / theirs for ours, theirs in zip(rates[name], rates[_KERAS], strict=True)
            ]
            rows[name] |= {"times_keras": statistics.median(ratios), "times_keras_by_round": ratios}
    return rows


def _print(rows: Mapping[str, dict[str, Any]]) -> None:
    width = max(map(len, rows))
    print(f"\n{'':{width}}  images/s   lowest-highest   CPU ms/image   x Keras (lowest-highest)")
    for name, row in rows.items():
        rates, ratios = row["images_per_second_by_round"], row.get("times_keras_by_round")
        line = f"{name:{width}}  {row['images_per_second']:8.1f}"
        line += f"  {min(rates):7.1f}-{max(rates):<7.1f}  {row['cpu_ms_per_image']:13.1f}"
        if ratios:
            line += f"   {row['times_keras']:.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
        print(line)
    for name, row in rows.items():
        if "augmentation_share_of_step" in row:
            print(f"augmentation, {name}: {row['augmentation_share_of_step']:.1%} of a step")


if __name__ == "__main__":
    sys.exit(command.run(main))
