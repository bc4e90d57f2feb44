"""Measures a network on labelled faces.

Prints single-crop and flip-averaged figures with 95 % intervals, and writes report.json and
confusion.png. Where the data has FER+ votes, both kinds of label are reported. `--degraded` adds the
same faces under bad light, blur and noise. Of several checkpoints, separated by commas, it also prints
the mean and its interval. Figures on the test split are for reporting once, never for choosing: each
opening of it is recorded next to the weights.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fer_jax import command
from fer_jax.config import Labels
from fer_jax.data.faces import Faces
from fer_jax.data.processing import differences, processing, sentence
from fer_jax.data.records import UnreadableFaceError
from fer_jax.errors import CheckpointError
from fer_jax.machine.files import write_json
from fer_jax.machine.outputs import try_folder
from fer_jax.machine.terminal import printable
from fer_jax.pretrained import CHECKPOINT_HELP

if TYPE_CHECKING:
    from fer_jax.saved_model import SavedModel

# Functions import what imports JAX, for no mistake in a flag should wait for it.

_EXAMPLE = "fer-jax evaluate --data FER2013 --split validation"
_MEASURED = "measured"  # --groups without a file


def main(argv: Sequence[str]) -> int:
    """Runs the command with the arguments `argv` and returns its exit code."""
    options = _parser().parse_args(argv)
    command.require_training("evaluation")
    with command.ends_at_once():
        from fer_jax.data.datasets import evaluation_split
        from fer_jax.evaluation import reports, tables
        from fer_jax.evaluation.groups import measured_groups, read_groups
        from fer_jax.machine import sharding

    say = command.speaker(quiet=options.quiet)
    if options.out:
        try_folder(Path(options.out), flag="--out")
    sharding.simulate_cpu_devices(0)
    networks = _load(options.checkpoint)
    labels = options.labels or _learned(networks)
    try:
        faces = evaluation_split(
            Path(options.data), options.split, on_error=options.on_error, report=say
        )
    except UnreadableFaceError as error:
        raise error.with_flag("--on-error skip") from None
    if options.groups == _MEASURED:
        groups = measured_groups(faces)
    else:
        groups = read_groups(Path(options.groups), faces.names) if options.groups else {}
    task = Task(
        path=Path(options.data),
        faces=faces,
        split=options.split,
        labels=labels,
        groups=groups,
        degraded=options.degraded,
    )
    if labels == "votes":
        say(f"against the majority of FER+'s votes, on the {len(task.rows):,} faces that have one")
    for saved in networks:
        _warn_of_processing(saved, faces)
    of_each = [_report(saved, task) for saved in networks]
    report = of_each[0]
    if len(of_each) > 1:
        summary = reports.across_runs(of_each)
        tables.print_runs(of_each, summary)
        confusion = np.sum([each["confusion"] for each in of_each], axis=0)
        report = {
            "split": options.split,
            **summary,
            "confusion": confusion.tolist(),
            "each": of_each,
        }
    if options.out:
        _write(report, Path(options.out))
        shown = printable(options.out)
        say(f"see {shown}/report.json and {shown}/confusion.png")
    return 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """What networks are evaluated on.

    Attributes:
        path: where the faces came from, for messages.
        faces: the whole split, N faces.
        split: its name.
        labels: what the figures at the top of a report are compared with.
        groups: column -> str [N].
        degraded: report the degraded split as well.
        rows: int [M], the faces that have such a label; derived.
        truth: int32 [M], their labels; derived.
    """

    path: Path
    faces: Faces
    split: str
    labels: Labels
    groups: Mapping[str, np.ndarray]
    degraded: bool
    rows: np.ndarray = dataclasses.field(init=False)
    truth: np.ndarray = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        from fer_jax.evaluation.protocols import judged_faces

        rows, truth = judged_faces(self.faces, by=self.labels, path=self.path)
        object.__setattr__(self, "rows", rows)
        object.__setattr__(self, "truth", truth)


def _load(names: str | None) -> list[SavedModel]:
    """Reads the one network, or those, that `--checkpoint` names; the shipped one without."""
    from fer_jax.saved_model import load_model, load_models

    if names is None:
        return [load_model(None)]
    one = Path(names)
    networks = [load_model(names)] if one.exists() else load_models(names)
    if len({network.digest for network in networks}) < max(1, len(networks)):
        raise CheckpointError(f"--checkpoint {names}: names a network twice, or none")
    return networks


def _learned(networks: Sequence[SavedModel]) -> Labels:
    """Whose labels the networks learned; the data's own where they differ."""
    each = {network.about["config"]["data"].get("labels", "own") for network in networks}
    return "votes" if each == {"votes"} else "own"


def _warn_of_processing(saved: SavedModel, faces: Faces) -> None:
    """Reports faces processed differently from those that the network learned from."""
    trained = (saved.card or {}).get("dataset", {}).get("processing")
    seen = processing(faces.images, faces.names)
    if different := differences(trained, seen):
        known = "" if trained else " (its card does not say how the training faces were)"
        print(
            f"warning: network {saved.digest[:12]}: {different}{known}, so its figures here say "
            f"little about other images; {sentence(seen)}",
            file=sys.stderr,
        )


def _report(saved: SavedModel, task: Task) -> dict[str, Any]:
    """Evaluates one network and prints its report."""
    from fer_jax.evaluation import tables
    from fer_jax.evaluation.openings import record_opening

    before = record_opening(saved, task.faces) if task.split == "test" else 0
    report = evaluate(saved, task)
    tables.print_report(report)
    if task.split == "test":
        report["test_opened_before"] = before
        often = f"{before} times" if before > 1 else "once" if before else "never"
        print(f"the test split was opened {often} before with this run; this time is recorded, too")
    return report


def _write(report: Mapping[str, Any], out: Path) -> None:
    from fer_jax.evaluation import plots

    write_json(out / "report.json", report)
    accuracy, uar = (
        figure["mean"] if isinstance(figure, dict) else figure
        for figure in (report["accuracy"], report["uar"])
    )
    title = f"{report['split']}: accuracy {accuracy:.1%}, UAR {uar:.1%}"
    plots.confusion(np.asarray(report["confusion"]), out / "confusion.png", title=title)


def evaluate(saved: SavedModel, task: Task) -> dict[str, Any]:
    """Returns a checkpoint's report on a split; flip-averaged figures are under "flip".

    The figures at the top are against `task.labels`; "by_labels" holds those against each kind of label
    that the data has, "groups" and "degraded" what was requested, both single crop.

    Raises:
        CheckpointError: its network is not one of this version's.
    """
    from fer_jax.evaluation import evaluation
    from fer_jax.evaluation.degraded import degraded_report
    from fer_jax.evaluation.groups import group_report
    from fer_jax.evaluation.protocols import report_by_labels
    from fer_jax.models.probabilities import softmax

    logits_of = evaluation.network_logits(saved)
    faces, split = task.faces, task.split
    logits, flipped = logits_of(faces), logits_of(faces.mirrored())
    by_labels = report_by_labels(
        faces,
        split=split,
        logits=logits,
        flipped=flipped,
        temperature=(saved.card or {}).get("temperature", 1.0),
        path=task.path,
    )
    rows, truth = task.rows, task.truth
    report = {**by_labels[task.labels], "labels": task.labels, "by_labels": by_labels}
    if task.groups:
        groups = {column: values[rows] for column, values in task.groups.items()}
        report["groups"] = group_report(softmax(logits[rows]), truth, groups)
    if task.degraded:
        report["degraded"] = degraded_report(faces.take(rows), truth, logits_of=logits_of)
    return {**report, "checkpoint": str(saved.path), "step": saved.step, "digest": saved.digest}


def _parser() -> command.Parser:
    parser = command.Parser("evaluate", example=_EXAMPLE, description=__doc__)
    parser.add_argument(
        "--checkpoint",
        metavar="NAME|DIR[,...]",
        help=f"{CHECKPOINT_HELP}; or several, separated by commas",
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
        metavar=f"CSV|{_MEASURED}",
        help="figures by group as well: a csv of names and groups (age, lighting, ...), or "
        f"{_MEASURED}: by light, contrast, sharpness and the agreement of people",
    )
    parser.add_argument(
        "--degraded",
        action="store_true",
        help="evaluate the same faces dark, bright, blurred, small, noisy, shadowed and turned as well",
    )
    parser.add_argument("--out", help="folder for report.json and confusion.png")
    parser.add_argument(
        "--on-error",
        choices=("raise", "skip"),
        default="raise",
        help="what to do with a face that cannot be read",
    )
    return parser


if __name__ == "__main__":
    sys.exit(command.run(main))
