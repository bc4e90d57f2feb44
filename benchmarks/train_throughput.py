"""Training throughput compared with other frameworks: `make bench-train`, `make bench-train-torch`.

`seed_cnn` is compared with Keras on TensorFlow; a residual network, such as `--model resnet_small`, with
the same in PyTorch, channels-last, in float32 and bfloat16. Every side is a separate process that is set
up and warmed up once; then runs alternate, and only one computes at a time. Our sides run the whole
training loop including augmentation; the others get ready-made batches, which favours them.
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

from network_shape import shape_flags
from turns import Player, Turn, alternating, has_module

from fer_jax import command
from fer_jax.errors import FerError
from fer_jax.machine.processor import usable_cores
from fer_jax.models import MODELS, build
from fer_jax.models.resnet import ResNet

_HERE = Path(__file__).resolve().parent
_IN_KERAS = "seed_cnn"
_WARM_UP_STEPS = 2  # the first compiles
_BATCHES_TIMED = 20


class Side(NamedTuple):
    """One row of the table: a network, its framework and settings."""

    network: str
    trainer: str
    command: list[str]
    ours: bool

    @property
    def name(self) -> str:
        """The row's name."""
        return f"{self.network}, {self.trainer}"


def main(argv: Sequence[str]) -> int:
    """Runs the command with the arguments `argv` and returns its exit code."""
    options = _parser().parse_args(argv)
    _check(options)
    compared = sides(options)
    cores, load = usable_cores(), os.getloadavg()[0]
    print(
        f"{options.rounds} rounds of {options.steps} steps of {options.batch_size} faces on "
        f"{cores} core(s)" + (f"; busy with other work (load {load:.1f})" if load > 0.5 else "")
    )
    players: dict[str, Player] = {}
    try:
        for side in compared:
            players[side.name] = Player(side.name, side.command)
            players[side.name].play("steps", _WARM_UP_STEPS)
            print(f"ready: {side.name} ({players[side.name].about})", flush=True)
        check_alike(compared, players)
        turns = _take_turns(players, steps=options.steps, rounds=options.rounds)
        ours = [side.name for side in compared if side.ours] if options.augmentation else []
        augmenting = {name: players[name].play("batches", _BATCHES_TIMED) for name in ours}
    except ChildProcessError as error:
        raise FerError(str(error)) from error
    finally:
        for player in players.values():
            player.close()
    rows = _rows(turns, options)
    ratios = _ratios(compared, rows)
    for name, turn in augmenting.items():
        step = options.batch_size / rows[name]["images_per_second"]
        rows[name]["augmentation_share_of_step"] = turn.seconds / _BATCHES_TIMED / step
    _print(rows, ratios)
    if options.json:
        setting = {key: getattr(options, key) for key in ("model", "batch_size", "steps", "rounds")}
        Path(options.json).write_text(
            json.dumps({**setting, "cores": cores, "rows": rows, "ratios": ratios}, indent=2) + "\n"
        )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = command.Parser(prog="train_throughput.py", description=__doc__)
    parser.add_argument("--model", default=_IN_KERAS, choices=list(MODELS), help="network to train")
    parser.add_argument("--batch-size", type=int, default=64, help="faces per step")
    parser.add_argument("--steps", type=int, default=8, help="steps per turn")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each side")
    parser.add_argument(
        "--devices", type=int, default=0, help="simulated CPU devices of our side; 0: one per core"
    )
    parser.add_argument(
        "--augmentation", action="store_true", help="also time augmentation as a share of a step"
    )
    for name in ("keras", "torch"):
        parser.add_argument(
            f"--{name}-python",
            default=f".venv-{name}/bin/python",
            help=f"Python of the environment with benchmarks/{name}-requirements.txt",
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
    if options.model == _IN_KERAS and not has_module(options.keras_python, "tensorflow"):
        raise FerError(
            f"{options.keras_python}: no Python with TensorFlow; `make bench-train` installs one, or "
            "name another with --keras-python"
        )


def sides(options: argparse.Namespace) -> list[Side]:
    """Returns the sides and their commands; ours first."""
    found = [_ours(options, options.model, options.devices)]
    if options.devices != 1:
        found.append(_ours(options, options.model, 1))
    if options.model == _IN_KERAS:
        line = [options.keras_python, str(_HERE / "side_keras.py"), *_size(options)]
        for trainer, more in (("", []), (", jit_compile", ["--xla"])):
            name = f"Keras on TensorFlow{trainer}"
            found.append(Side(_IN_KERAS, name, [*line, *more], ours=False))
        found.append(_ours(options, "resnet_small", options.devices))
    elif has_module(options.torch_python, "torch"):
        found.append(_ours(options, options.model, 1, dtype="bfloat16"))
        found += [_torch(options, dtype) for dtype in ("float32", "bfloat16")]
    else:
        print(
            f"left out: PyTorch, {options.torch_python} does not have it; `make bench-train-torch` "
            "installs it, --torch-python names another"
        )
    return found


def _ours(
    options: argparse.Namespace, network: str, devices: int, *, dtype: str = "float32"
) -> Side:
    most = _WARM_UP_STEPS + options.steps * options.rounds
    line = [sys.executable, str(_HERE / "side_fer_jax.py"), "--model", network, *_size(options)]
    line += ["--devices", str(devices), "--most-steps", str(most), "--dtype", dtype]
    spread = f"{devices} device(s)" if devices else "a device a core"
    precision = "" if dtype == "float32" else f", {dtype}"
    return Side(network, f"fer_jax, {spread}{precision}", line, ours=True)


def _torch(options: argparse.Namespace, dtype: str) -> Side:
    network = build(options.model)
    assert isinstance(network, ResNet)
    line = [options.torch_python, str(_HERE / "side_torch_cpu.py"), *shape_flags(network)]
    line += [*_size(options), "--dropout", str(network.dropout)]
    line += ["--threads", str(usable_cores()), "--dtype", dtype]
    return Side(options.model, f"PyTorch, {dtype}", line, ours=False)


def _size(options: argparse.Namespace) -> list[str]:
    return ["--batch-size", str(options.batch_size)]


def check_alike(compared: Sequence[Side], players: Mapping[str, Player]) -> None:
    """Checks that sides that report a number of parameters train networks of one size.

    Raises:
        FerError: they differ.
    """
    parameters: dict[str, dict[int, str]] = {}
    for side in compared:
        if (count := players[side.name].facts.get("parameters")) is not None:
            parameters.setdefault(side.network, {})[count] = side.name
    for counts in parameters.values():
        if len(counts) > 1:
            told = " and ".join(f"{name} {count:,}" for count, name in counts.items())
            raise FerError(f"not the same network: parameters of {told}")


def _take_turns(players: Mapping[str, Player], *, steps: int, rounds: int) -> dict[str, list[Turn]]:
    """Every side's turns; every other round is reversed, so that no side gains by its position."""
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
    return rows


def _ratios(
    compared: Sequence[Side], rows: Mapping[str, Mapping[str, Any]]
) -> dict[str, list[float]]:
    """Our images per second over those of each other side that trains the same network, by round."""

    def rates(side: Side) -> list[float]:
        return rows[side.name]["images_per_second_by_round"]

    return {
        f"{one.name} / {other.trainer}": [
            a / b for a, b in zip(rates(one), rates(other), strict=True)
        ]
        for one in compared
        for other in compared
        if one.ours and not other.ours and one.network == other.network
    }


def _print(rows: Mapping[str, dict[str, Any]], ratios: Mapping[str, list[float]]) -> None:
    width = max(map(len, rows))
    print(f"\n{'':{width}}  images/s   lowest-highest   CPU ms/image")
    for name, row in rows.items():
        rates = row["images_per_second_by_round"]
        line = f"{name:{width}}  {row['images_per_second']:8.1f}"
        print(f"{line}  {min(rates):7.1f}-{max(rates):<7.1f}  {row['cpu_ms_per_image']:13.1f}")
    for name, each in ratios.items():
        low, high = min(each), max(each)
        print(f"{name}: {statistics.median(each):.2f} ({low:.2f}-{high:.2f} by round)")
    for name, row in rows.items():
        if "augmentation_share_of_step" in row:
            print(f"augmentation, {name}: {row['augmentation_share_of_step']:.1%} of a step")


if __name__ == "__main__":
    sys.exit(command.run(main))
