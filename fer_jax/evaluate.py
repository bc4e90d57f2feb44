"""Evaluates a checkpoint: `python -m fer_jax.evaluate --checkpoint WORKDIR --data DIR`.

Prints single-crop and flip-averaged figures under their own names, with 95 % intervals, and writes
report.json and confusion.png. Figures on the test split are for reporting once, never for choosing.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from fer_jax import command
from fer_jax.data.datasets import evaluation_split
from fer_jax.data.faces import Faces
from fer_jax.files import make_folder, write_json
from fer_jax.saved_model import SavedModel, load_model
from fer_jax.training import evaluation, plots, reports, sharding


def main(argv: Sequence[str]) -> int:
    """Runs the command with the arguments `argv` and returns its exit code."""
    options = _parser().parse_args(argv)
    if options.out:
        make_folder(Path(options.out))
    sharding.simulate_cpu_devices(0)
    saved = load_model(Path(options.checkpoint))
    faces = evaluation_split(Path(options.data), options.split, on_error=options.on_error)
    report = evaluate(saved, faces, split=options.split)
    _print(report)
    if options.out:
        out = Path(options.out)
        write_json(out / "report.json", report)
        title = f"{options.split}: accuracy {report['accuracy']:.1%}, UAR {report['uar']:.1%}"
        plots.confusion(np.asarray(report["confusion"]), out / "confusion.png", title=title)
        print(f"see {out}/report.json and {out}/confusion.png")
    return 0


def evaluate(saved: SavedModel, faces: Faces, *, split: str) -> dict[str, Any]:
    """Returns a checkpoint's report on a split, flip-averaged figures under "flip".

    Raises:
        CheckpointError: its network is not one of this version's.
    """
    logits, flipped = evaluation.saved_logits(saved, faces)
    report = reports.split_report(split=split, logits=logits, flipped=flipped, labels=faces.labels)
    return {
        **report,
        "checkpoint": str(saved.path),
        "step": saved.step,
        "digest": saved.digest,
    }


def _parser() -> command.Parser:
    parser = command.Parser(prog="python -m fer_jax.evaluate", description=__doc__)
    parser.add_argument("--checkpoint", required=True, help="a workdir or a checkpoint folder")
    parser.add_argument("--data", required=True, help="a folder, csv or archive of labelled faces")
    parser.add_argument("--split", choices=("train", "validation", "test"), default="validation")
    parser.add_argument("--out", help="folder for report.json and confusion.png")
    parser.add_argument(
        "--on-error",
        choices=("raise", "skip"),
        default="raise",
        help="what to do with a face that can not be read",
    )
    return parser


def _print(report: dict[str, Any]) -> None:
    console = Console(highlight=False)
    table = Table(title=f"{report['split']}, {report['count']:,} faces")
    table.add_column("")
    for heading in ("single crop", "flip-averaged"):
        table.add_column(heading, justify="right")
    pair = (report, report["flip"])
    table.add_row("accuracy", *(f"{figures['accuracy']:.2%}" for figures in pair))
    spans = (figures["accuracy_interval"] for figures in pair)
    table.add_row("95 % interval", *(f"{low:.1%} to {high:.1%}" for low, high in spans))
    for name, title in (("uar", "UAR"), ("macro_f1", "macro F1")):
        table.add_row(title, *(f"{figures[name]:.2%}" for figures in pair))
    for name, title in (("loss", "loss"), ("ece", "ECE")):
        table.add_row(title, *(f"{figures[name]:.3f}" for figures in pair))
    for name in report["per_class"]:
        recalls = (figures["per_class"][name]["recall"] for figures in pair)
        table.add_row(f"recall of {name}", *(f"{recall:.1%}" for recall in recalls))
    console.print(table)


if __name__ == "__main__":
    sys.exit(command.run(main))
