"""Training on an accelerator, compared with the same network in PyTorch: `make bench-gpu DIR=FER2013`.

Both sides keep all faces on the device, augment them there, and compute in bfloat16 with float32
parameters; PyTorch with torch.compile, channels-last. Runs alternate: first runs of a fixed number of
steps, which give images per second and the share of the device's peak, then epochs, until each side
agrees with 70 % of PublicTest's labels.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from turns import Player, Turn, alternating

from fer_jax import command
from fer_jax.config import Config, DataConfig, from_config_dict, recipe, to_dict
from fer_jax.data.datasets import open_dataset
from fer_jax.data.faces import Faces
from fer_jax.errors import FerError
from fer_jax.models import MODELS
from fer_jax.training.batch_rule import fitted_to_batch
from fer_jax.training.plan import make_plan

_HERE = Path(__file__).resolve().parent
_OURS, _TORCH = "fer_jax", "PyTorch"
_WARM_UP_STEPS = 20  # also compile


def main(argv: Sequence[str]) -> int:
    """Runs the command with the arguments `argv` and returns its exit code."""
    options = _parser().parse_args(argv)
    config = _config(options)
    dataset = open_dataset(
        DataConfig(dir=options.data) if options.data else DataConfig(name="synthetic"), seed=0
    )
    splits = dataset.splits
    with tempfile.TemporaryDirectory() as folder:
        setting = _write_setting(config, splits, Path(folder))
        players: dict[str, Player] = {}
        try:
            for name, line in _commands(options, setting).items():
                players[name] = Player(name, line)
                players[name].play("steps", _WARM_UP_STEPS)
                print(f"ready: {name} ({players[name].about})", flush=True)
            turns = _alternating_steps(players, options)
            reached = _alternating_epochs(players, options, epochs=config.epochs)
        except ChildProcessError as error:
            raise FerError(str(error)) from error
        finally:
            for player in players.values():
                player.close()
    facts = players[_OURS].facts
    rows = _rows(turns, reached, options, flops=facts["flops_an_image"])
    _print(rows, data=dataset.name, goal=options.goal)
    if options.json:
        said = {name: player.about for name, player in players.items()}
        options.json.write_text(json.dumps({"sides": said, "rows": rows}, indent=2) + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = command.Parser(prog="train_accelerator.py", description=__doc__)
    add = parser.add_argument
    add("--data", metavar="DIR", help="FER2013; without it, drawn faces")
    add("--model", default="resnet_medium", choices=[n for n in MODELS if n.startswith("resnet")])
    add("--batch-size", type=command.count, default=512, help="faces per step; default %(default)s")
    add("--epochs", type=command.count, default=40, help="epochs in all; default %(default)s")
    add("--steps", type=command.count, default=200, help="steps per turn; default %(default)s")
    add("--rounds", type=command.count, default=7, help="turns of each side; default %(default)s")
    add("--goal", type=float, default=0.7, help="accuracy to reach; default %(default)s")
    add("--peak-tflops", type=float, metavar="X", help="device peak in bfloat16, for the share")
    add(
        "--torch-python",
        default=".venv-torch/bin/python",
        help="Python with a PyTorch for the device",
    )
    add("--json", type=Path, metavar="FILE", help="to write the figures to")
    return parser


def _config(options: argparse.Namespace) -> Config:
    """`base` without what only one side has: Muon and growing faces."""
    settings = recipe("base")
    settings.update_from_flattened_dict(
        {
            "epochs": options.epochs,
            "batch_size": options.batch_size,
            "eval_batch_size": 2048,
            "data.on_device": True,
            "model.name": options.model,
            "model.dtype": "bfloat16",
            "optim.name": "adamw",
            "optim.learning_rate": 2e-3,
            "optim.schedule": "constant",
            "resolution.start": 48,
        }
    )
    return fitted_to_batch(from_config_dict(settings.to_dict()))


def _write_setting(config: Config, splits: Mapping[str, Faces], folder: Path) -> Path:
    """Writes what both sides need: faces, settings, the network's shape, each step's learning rate."""
    train, validation = splits["train"], splits["validation"]
    plan = make_plan(config, train=train, validation=validation, taught=None, starts_trained=False)
    np.savez(
        folder / "faces.npz",
        images=train.images,
        labels=train.labels,
        validation_images=validation.images,
        validation_labels=validation.labels,
        learning_rates=plan.learning_rates,
    )
    shape: dict[str, Any] = MODELS[config.model.name].keywords  # pyright: ignore[reportAttributeAccessIssue]
    setting = {
        "faces": str(folder / "faces.npz"),
        "config": to_dict(config),
        "network": {
            "widths": shape["widths"],
            "blocks": shape["blocks"],
            "dropout": shape.get("dropout", 0.2),
            "space_to_depth": shape.get("space_to_depth", True),
            "max_pool": shape.get("mirrored", False),
        },
    }
    path = folder / "setting.json"
    path.write_text(json.dumps(setting))
    return path


def _commands(options: argparse.Namespace, setting: Path) -> dict[str, list[str]]:
    ours = [sys.executable, str(_HERE / "side_accelerator.py"), str(setting)]
    torch = [options.torch_python, str(_HERE / "side_accelerator_torch.py"), str(setting)]
    if not Path(options.torch_python).exists():
        raise FerError(
            f"{options.torch_python}: does not exist; `make bench-gpu` installs PyTorch, or name another"
        )
    return {_OURS: ours, _TORCH: torch}


def _alternating_steps(
    players: Mapping[str, Player], options: argparse.Namespace
) -> dict[str, list[Turn]]:
    """Every side's turns; every other round is reversed, so that no side gains by its position."""
    turns: dict[str, list[Turn]] = {name: [] for name in players}
    for name in alternating(players, options.rounds):
        turns[name].append(players[name].play("steps", options.steps))
    return turns


def _alternating_epochs(
    players: Mapping[str, Player], options: argparse.Namespace, *, epochs: int
) -> dict[str, dict[str, Any]]:
    """Each side's seconds and accuracies until it reached the target, if it did."""
    found: dict[str, dict[str, Any]] = {
        name: {"seconds": 0.0, "accuracy": [], "reached": False} for name in players
    }
    for player in players.values():
        player.play("restart", 1)
    for _ in range(epochs):
        for name, player in players.items():
            side = found[name]
            if not side["reached"]:
                turn = player.play("epoch", 1)
                side["seconds"] += turn.seconds
                side["accuracy"] += turn.each
                side["reached"] = turn.each[-1] >= options.goal
    return found


def _rows(
    turns: Mapping[str, list[Turn]],
    reached: Mapping[str, dict[str, Any]],
    options: argparse.Namespace,
    *,
    flops: float,
) -> dict[str, dict[str, Any]]:
    images = options.steps * options.batch_size
    rates = {name: [images / turn.seconds for turn in of_one] for name, of_one in turns.items()}
    ratios = [o / t for o, t in zip(rates[_OURS], rates[_TORCH], strict=True)]
    rows: dict[str, dict[str, Any]] = {}
    for name, of_one in rates.items():
        rate = statistics.median(of_one)
        rows[name] = {
            "images_per_second": rate,
            "images_per_second_by_round": of_one,
            "tflops": rate * flops / 1e12,
            "seconds_to_goal": reached[name]["seconds"] if reached[name]["reached"] else None,
            "accuracy_by_epoch": reached[name]["accuracy"],
        }
        if options.peak_tflops:
            rows[name]["share_of_peak"] = rows[name]["tflops"] / options.peak_tflops
    rows[_OURS] |= {"times_torch": statistics.median(ratios), "times_torch_by_round": ratios}
    return rows


def _print(rows: Mapping[str, dict[str, Any]], *, data: str, goal: float) -> None:
    print(f"\n{data}\n{'':10}{'images/s':>10}{'TFLOP/s':>10}{'of peak':>9}{f's to {goal:.0%}':>12}")
    for name, row in rows.items():
        share = f"{row['share_of_peak']:.0%}" if "share_of_peak" in row else "-"
        seconds = row["seconds_to_goal"]
        to_goal = "never" if seconds is None else f"{seconds:.1f}"
        print(
            f"{name:10}{row['images_per_second']:10,.0f}{row['tflops']:10.1f}{share:>9}{to_goal:>12}"
        )
    ratios = rows[_OURS]["times_torch_by_round"]
    print(
        f"{rows[_OURS]['times_torch']:.2f} x PyTorch's images/s "
        f"({min(ratios):.2f} to {max(ratios):.2f})"
    )


if __name__ == "__main__":
    sys.exit(command.run(main))
