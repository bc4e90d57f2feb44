"""Scoring compared with the PyPI package `fer`: `make bench-score DIR=photos`, on any folder of images.

Each side is a process that is set up and warmed up once; then runs on the same images alternate, and
only one computes at a time. With --crops, a folder of face crops also goes through `--detector none`,
compared with the bare jitted network on the same decoded faces.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from turns import Player, alternating, has_module

from fer_jax import command
from fer_jax.errors import FerError
from fer_jax.inference import MAX_BATCH
from fer_jax.machine.processor import usable_cores
from fer_jax.media.inputs import expand_inputs
from fer_jax.media.kinds import IMAGE_SUFFIXES
from fer_jax.pretrained import CHECKPOINT_HELP

_HERE = Path(__file__).resolve().parent
_FER, _OURS, _CROPS, _NETWORK = "fer", "fer_jax.score", "crops, end to end", "bare network"


class Side(NamedTuple):
    """One alternating side: one action of one process, on a number of images."""

    process: str
    action: str
    images: int


def main(argv: Sequence[str]) -> int:
    """Runs the command with the arguments `argv` and returns its exit code."""
    options = _parser().parse_args(argv)
    if not options.dir and not options.crops:
        raise FerError("no images to score; name a folder with --dir, or --crops, or both")
    if options.dir and not has_module(options.fer_python, "fer"):
        raise FerError(
            f"{options.fer_python}: no Python with the package fer; `make bench-score` makes one, or "
            "name another with --fer-python"
        )
    load = os.getloadavg()[0]
    print(
        f"{options.rounds} rounds on {usable_cores()} core(s)"
        + (f"; busy with other work (load {load:.1f})" if load > 0.5 else "")
    )
    with tempfile.TemporaryDirectory() as folder:
        rates, found = _measure(options, Path(folder))
    rows = {name: _row(values, found.get(name)) for name, values in rates.items()}
    _print(rows)
    ratios = {
        f"{a} / {b}": [x / y for x, y in zip(rates[a], rates[b], strict=True)]
        for a, b in ((_OURS, _FER), (_CROPS, _NETWORK))
        if a in rates and b in rates
    }
    for name, values in ratios.items():
        low, high = min(values), max(values)
        print(f"{name}: {statistics.median(values):.2f} ({low:.2f}-{high:.2f} by round)")
    if options.json:
        Path(options.json).write_text(json.dumps({"rows": rows, "ratios": ratios}, indent=2))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = command.Parser(prog="score_throughput.py", description=__doc__)
    parser.add_argument("--dir", help="folder of images for both sides")
    parser.add_argument("--crops", help="folder of face crops, for the speed of the pipeline alone")
    parser.add_argument("--most", type=int, default=2000, help="images taken from each folder")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each side")
    parser.add_argument("--batch-size", type=int, default=MAX_BATCH)
    parser.add_argument("--checkpoint", help=CHECKPOINT_HELP)
    parser.add_argument(
        "--fer-python",
        default=".venv-fer/bin/python",
        help="Python of the environment with benchmarks/fer-requirements.txt",
    )
    parser.add_argument("--json", help="file to write the figures to")
    return parser


def _measure(
    options: argparse.Namespace, folder: Path
) -> tuple[dict[str, list[float]], dict[str, list[int]]]:
    """Returns every side's images per second by round, and its number of faces in each image."""
    commands: dict[str, list[str]] = {}
    sides: dict[str, Side] = {}
    ours = [sys.executable, str(_HERE / "side_score.py"), "--batch-size", str(options.batch_size)]
    if options.checkpoint:
        ours += ["--checkpoint", options.checkpoint]
    if options.dir:
        listing, count = _images(options.dir, options.most, folder)
        found = ["--list", listing, "--found"]
        fer = [options.fer_python, str(_HERE / "side_fer.py")]
        commands[_FER] = [*fer, *found, str(folder / _FER)]
        commands[_OURS] = [*ours, *found, str(folder / _OURS)]
        sides |= {name: Side(name, "score", count) for name in (_FER, _OURS)}
    if options.crops:
        listing, count = _images(options.crops, options.most, folder)
        whole_batches = count - count % options.batch_size
        if not whole_batches:
            raise FerError(f"--crops {options.crops}: {count} images make no batch")
        found = ["--list", listing, "--found", str(folder / _CROPS)]
        commands[_CROPS] = [*ours, *found, "--detector", "none"]
        sides[_CROPS] = Side(_CROPS, "score", count)
        sides[_NETWORK] = Side(_CROPS, "network", whole_batches)
    rates = _take_turns(commands, sides, rounds=options.rounds)
    return rates, {
        name: json.loads((folder / name).read_text()) for name in sides if name != _NETWORK
    }


def _images(name: str, most: int, folder: Path) -> tuple[str, int]:
    """Writes the list of a folder's images; returns the list's name and length."""
    paths = [p for p in expand_inputs([name]) if p.suffix.lower() in IMAGE_SUFFIXES]
    step = max(1, -(-len(paths) // most))  # from all over the folder
    paths = paths[::step]
    if not paths:
        raise FerError(f"{name}: holds no images")
    with tempfile.NamedTemporaryFile("w", dir=folder, delete=False) as file:
        json.dump([str(path.absolute()) for path in paths], file)
    return file.name, len(paths)


def _take_turns(
    commands: Mapping[str, list[str]], sides: Mapping[str, Side], *, rounds: int
) -> dict[str, list[float]]:
    """Every other round is in reverse order, so that no side gains by its position."""
    rates: dict[str, list[float]] = {name: [] for name in sides}
    players: dict[str, Player] = {}
    try:
        for name, line in commands.items():
            players[name] = Player(name, line)
            print(f"ready: {name} ({players[name].about})", flush=True)
        for side in sides.values():
            players[side.process].play(side.action, 1)  # also fills the disk cache
        for name in alternating(sides, rounds):
            turn = players[sides[name].process].play(sides[name].action, 1)
            rates[name].append(sides[name].images / turn.seconds)
    except ChildProcessError as error:
        raise FerError(str(error)) from error
    finally:
        for player in players.values():
            player.close()
    return rates


def _row(rates: list[float], found: list[int] | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "images_per_second": statistics.median(rates),
        "images_per_second_by_round": rates,
    }
    if found is not None:
        row |= {
            "images": len(found),
            "images_with_a_face": sum(count > 0 for count in found) / len(found),
            "faces": sum(found),
        }
    return row


def _print(rows: Mapping[str, dict[str, Any]]) -> None:
    width = max(map(len, rows))
    print(f"\n{'':{width}}  images/s   lowest-highest   with a face   faces")
    for name, row in rows.items():
        rates = row["images_per_second_by_round"]
        line = f"{name:{width}}  {row['images_per_second']:10.1f}"
        line += f"  {min(rates):7.1f}-{max(rates):<7.1f}"
        if "faces" in row:
            line += f"  {row['images_with_a_face']:10.1%}  {row['faces']:7,}"
        print(line)


if __name__ == "__main__":
    sys.exit(command.run(main))
