"""Whether a batch of 1,024 on eight devices learns as much in an epoch as one of 128 on one device.

    python benchmarks/batch_outcome.py --data FER2013 --epochs 8

Trains the base recipe on FER+'s votes both ways from the same seed, with the rates, momentum, decay and
averaging that the batch rule gives each; the eight devices are simulated. Prints how many faces of
PublicTest agree with the majority of the votes, flip-averaged, and how far the two are apart. The goal
is 0.7 points.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from turns import alternating

from fer_jax import command
from fer_jax.machine.files import write_json

_DEVICES = {128: 1, 1024: 8}  # by batch size


def main(argv: Sequence[str]) -> int:
    """Runs the command with the arguments `argv` and returns its exit code."""
    parser = command.Parser(prog="batch_outcome.py", description=__doc__)
    parser.add_argument("--data", required=True, metavar="DIR", help="FER2013 with FER+'s votes")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=1, help="runs of each batch size")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    options = parser.parse_args(argv)
    runs = []
    sizes = alternating(_DEVICES, options.seeds)
    for number, batch in enumerate(sizes):
        seed = number // len(_DEVICES)
        runs.append(_outcome(options.data, epochs=options.epochs, batch=batch, seed=seed))
        print(json.dumps(runs[-1]), flush=True)
    means = {
        batch: statistics.mean(run["flip_accuracy"] for run in runs if run["batch"] == batch)
        for batch in _DEVICES
    }
    apart = means[1024] - means[128]
    print(f"1,024 on 8 devices: {100 * apart:+.2f} points")
    if options.json:
        again = (
            f"python benchmarks/batch_outcome.py --data FER2013 --epochs {options.epochs} "
            f"--seeds {options.seeds} --json FILE"
        )
        write_json(options.json, {"command": again, "runs": runs, "apart": apart})
    return 0


def _outcome(data: str, *, epochs: int, batch: int, seed: int) -> dict[str, Any]:
    """Trains once and returns what the network of the last epoch reaches."""
    with tempfile.TemporaryDirectory() as workdir:
        settings = {
            "epochs": epochs,
            "seed": seed,
            "batch_size": batch,
            "devices": _DEVICES[batch],
            "data.labels": "votes",
            "loss.label_smoothing": 0.0,
        }
        line = ["train", "--config", "base", "--data", data, "--out", workdir, "--quiet"]
        line += [f"--config.{name}={value}" for name, value in settings.items()]
        devices = os.environ | {"JAX_NUM_CPU_DEVICES": str(_DEVICES[batch])}
        subprocess.run([sys.executable, "-m", "fer_jax", *line], check=True, env=devices)
        report = json.loads(Path(workdir, "report.json").read_text())
        used = json.loads(Path(workdir, "config.json").read_text())
    return {
        "batch": batch,
        "devices": _DEVICES[batch],
        "seed": seed,
        "epochs": epochs,
        "learning_rate": used["optim"]["learning_rate"],
        "accuracy": report["accuracy"],
        "flip_accuracy": report["flip"]["accuracy"],
        "uar": report["uar"],
    }


if __name__ == "__main__":
    sys.exit(command.run(main))
