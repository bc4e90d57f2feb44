"""Evaluates a checkpoint: `python -m fer_jax.evaluate --checkpoint WORKDIR --data DIR`.

Prints single-crop and flip-averaged figures under their own names, with 95 % intervals, and writes
report.json and confusion.png. Of several checkpoints, commas between them, it also prints the mean and
its interval. Figures on the test split are for reporting once, never for choosing: each opening of it is
recorded beside the weights.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from fer_jax import command
from fer_jax.config import Labels
from fer_jax.data.datasets import evaluation_split
from fer_jax.data.faces import Faces
from fer_jax.errors import CheckpointError
from fer_jax.evaluation import evaluation, plots, reports
from fer_jax.evaluation.groups import group_report, read_groups
from fer_jax.evaluation.openings import record_opening
from fer_jax.machine import sharding
from fer_jax.machine.files import make_folder, write_json
from fer_jax.models.probabilities import softmax
from fer_jax.saved_model import SavedModel, load_model, load_models


def main(argv: Sequence[str]) -> int:
    """Runs the command with the arguments `argv` and returns its exit code."""
    options = _parser().parse_args(argv)
    if options.out:
        make_folder(Path(options.out))
    sharding.simulate_cpu_devices(0)
    networks = _load(options.checkpoint)
    labels = options.labels or _learned(networks)
    faces = evaluation_split(
        Path(options.data), options.split, on_error=options.on_error, labels=labels
    )
    if labels == "votes":
        print(f"against the majority of FER+'s votes, on the {len(faces):,} faces that have one")
    groups = read_groups(Path(options.groups), faces.names) if options.groups else {}
    told = [_report(saved, faces, split=options.split, groups=groups) for saved in networks]
    report = told[0]
    if len(told) > 1:
        summary = reports.across_runs(told)
        _print_runs(told, summary)
        confusion = np.sum([each["confusion"] for each in told], axis=0)
        report = {"split": options.split, **summary, "confusion": confusion.tolist(), "each": told}
    if options.out:
        _write(report, Path(options.out))
    return 0


def _load(names: str) -> list[SavedModel]:
    """Reads the one network, or those, that `--checkpoint` names."""
    one = Path(names)
    networks = [load_model(names)] if one.exists() else load_models(names)
    if len({network.digest for network in networks}) < max(1, len(networks)):
        raise CheckpointError(f"--checkpoint {names}: names a network twice, or none")
    return networks


def _learned(networks: Sequence[SavedModel]) -> Labels:
    """Whose labels the networks learned; the data's own where they differ."""
    each = {network.about["config"]["data"].get("labels", "own") for network in networks}
    return "votes" if each == {"votes"} else "own"


def _report(
    saved: SavedModel, faces: Faces, *, split: str, groups: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """Evaluates one network and prints what comes out."""
    before = record_opening(saved, faces) if split == "test" else 0
    report = evaluate(saved, faces, split=split, groups=groups)
    _print(report)
    for column, told in report.get("groups", {}).items():
        _print_groups(column, told)
    if split == "test":
        report["test_opened_before"] = before
        often = f"{before} times" if before > 1 else "once" if before else "never"
        print(f"the test split was opened {often} before with this run; this time is recorded, too")
    return report


def _write(report: Mapping[str, Any], out: Path) -> None:
    write_json(out / "report.json", report)
    accuracy, uar = (
        figure["mean"] if isinstance(figure, dict) else figure
        for figure in (report["accuracy"], report["uar"])
    )
    title = f"{report['split']}: accuracy {accuracy:.1%}, UAR {uar:.1%}"
    plots.confusion(np.asarray(report["confusion"]), out / "confusion.png", title=title)
    print(f"see {out}/report.json and {out}/confusion.png")


def evaluate(
    saved: SavedModel, faces: Faces, *, split: str, groups: Mapping[str, np.ndarray] | None = None
) -> dict[str, Any]:
    """Returns a checkpoint's report on a split, flip-averaged figures under "flip".

    With groups (column -> str [N]) it has `groups.group_report` of the single-crop figures as well.

    Raises:
        CheckpointError: its network is not one of this version's.
    """
    logits, flipped = evaluation.saved_logits(saved, faces)
    report = reports.split_report(split=split, logits=logits, flipped=flipped, labels=faces.labels)
    if groups:
        probabilities = softmax(logits)
        report["groups"] = group_report(probabilities, faces.labels, groups)
    return {
        **report,
        "checkpoint": str(saved.path),
        "step": saved.step,
        "digest": saved.digest,
    }


def _parser() -> command.Parser:
    parser = command.Parser(prog="python -m fer_jax.evaluate", description=__doc__)
    parser.add_argument(
        "--checkpoint",
        required=True,
        help="crowd, fer2013, a workdir or a checkpoint folder; or several, separated by commas",
    )
    parser.add_argument("--data", required=True, help="a folder, csv or archive of labelled faces")
    parser.add_argument("--split", choices=("train", "validation", "test"), default="validation")
    parser.add_argument(
        "--labels",
        choices=("own", "votes"),
        help="compare with the data's own labels or with the majority of FER+'s votes; "
        "default: what the network learned",
    )
    parser.add_argument(
        "--groups",
        help="csv of names and groups (age, lighting, ...): figures for each group as well",
    )
    parser.add_argument("--out", help="folder for report.json and confusion.png")
    parser.add_argument(
        "--on-error",
        choices=("raise", "skip"),
        default="raise",
        help="what to do with a face that cannot be read",
    )
    return parser


def _print(report: dict[str, Any]) -> None:
    console = Console(highlight=False)
    digest = report["digest"][:12]
    table = Table(title=f"{report['split']}, {report['count']:,} faces, network {digest}")
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


def _print_runs(each: Sequence[Mapping[str, Any]], summary: Mapping[str, Any]) -> None:
    console = Console(highlight=False)
    table = Table(title=f"{summary['runs']} trainings")
    for heading in ("", "mean", "95 % interval", "each"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, title in (("accuracy", "accuracy"), ("uar", "UAR"), ("ece", "ECE")):
        for flip, how in ((False, "single crop"), (True, "flip-averaged")):
            figure, *values = ((r["flip"] if flip else r)[name] for r in (summary, *each))
            low, high = figure["interval"]
            table.add_row(
                f"{title}, {how}",
                f"{figure['mean']:.2%}",
                f"{low:.1%} to {high:.1%}",
                " ".join(f"{value:.2%}" for value in values),
            )
    console.print(table)
    console.print(
        "the intervals are of chance in training; each run's own are of chance in its faces"
    )


def _print_groups(column: str, told: dict[str, Any]) -> None:
    console = Console(highlight=False)
    table = Table(title=f"by {column}")
    for heading in ("", "faces", "accuracy", "95 % interval", "UAR"):
        table.add_column(heading, justify="right" if heading else "left")
    for value, figures in told["groups"].items():
        low, high = figures["accuracy_interval"]
        shares = f"{figures['accuracy']:.2%}", f"{low:.1%} to {high:.1%}", f"{figures['uar']:.2%}"
        table.add_row(value, f"{figures['count']:,}", *shares)
    console.print(table)
    if told["unknown"]:
        console.print(f"{told['unknown']:,} faces have no {column}")
    if (gap := told["largest_gap"]) is not None:
        low, high = gap["interval"]
        console.print(
            f"largest gap in accuracy: {gap['from']} to {gap['to']}, {gap['accuracy']:.1%} "
            f"(95 % interval {low:.1%} to {high:.1%})"
        )


if __name__ == "__main__":
    sys.exit(command.run(main))
