"""Ends a run: writes the figures, card and plots of its best checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fer_jax.errors import TrainingError
from fer_jax.evaluation import plots, reports
from fer_jax.machine import sharding
from fer_jax.machine.cluster import is_first
from fer_jax.machine.files import read_rows, write_json
from fer_jax.machine.terminal import printable
from fer_jax.models.probabilities import softmax
from fer_jax.saved_model import FOLDER, Variables, load_model
from fer_jax.training import workdir
from fer_jax.training.program import Program, validate


def write_outcome(
    program: Program,
    folder: Path,
    *,
    best: int | None,
    data_card: dict[str, Any],
    command_line: str,
    lineage: Mapping[str, str | None],
    say: Callable[[str], None],
) -> None:
    """Evaluates the best checkpoint on validation; process 0 writes reports, card and plots.

    Args:
        program: of the run.
        folder: its workdir, with the history and the checkpoints.
        best: step of the checkpoint to keep.
        data_card: the card's part about the data.
        command_line: the training command.
        lineage: as `reports.card` takes it.
        say: prints a line.

    Raises:
        TrainingError: there is no checkpoint.
    """
    plan, steps = program
    if best is None:
        raise TrainingError(f"{folder}: no checkpoint was written")
    saved = load_model(folder / FOLDER / str(best))
    rows = read_rows(folder / workdir.HISTORY)
    epoch = next((row["epoch"] for row in rows if row["step"] == best), 0)
    judged = _judge(program, sharding.put_everywhere(saved.variables, steps.mesh))
    card = reports.card(
        config=plan.config,
        dataset=data_card,
        command=command_line,
        variables=saved.variables,
        step=best,
        epoch=epoch,
        lineage=lineage,
        **judged._asdict(),
    )
    if not is_first():
        return
    write_json(folder / "report.json", judged.report)
    write_json(folder / "card.json", card)
    plots.history(rows, folder / "history.png", best_epoch=epoch)
    _draw(judged, folder, data=data_card["name"])
    say(f"kept epoch {epoch} (best {plan.config.best_by}): {_told(judged)}")
    say(
        f"see {printable(folder)}/report.json, card.json, history.png, confusion.png and reliability.png"
    )


class _Judged(NamedTuple):
    """The validation figures of a checkpoint, as `reports.card` takes them."""

    report: dict[str, Any]
    temperature: float
    uncertain_below: float
    calibrated: dict[str, Any]


def _judge(program: Program, variables: Variables) -> _Judged:
    faces = program.plan.validation
    labels = faces.labels
    _, logits = validate(program, variables, faces)
    _, flipped = validate(program, variables, faces.mirrored())
    report = reports.split_report(split="validation", logits=logits, flipped=flipped, labels=labels)
    temperature = reports.fit_temperature(logits, labels)
    probabilities = softmax(logits / temperature)
    threshold = reports.confidence_threshold(probabilities)
    calibrated = reports.calibrated_figures(probabilities, labels, uncertain_below=threshold)
    return _Judged(report, temperature, threshold, calibrated)


def _draw(judged: _Judged, folder: Path, *, data: str) -> None:
    report, calibrated = judged.report, judged.calibrated
    plots.confusion(
        np.asarray(report["confusion"]),
        folder / "confusion.png",
        title=f"{data}, validation: accuracy {report['accuracy']:.1%}, UAR {report['uar']:.1%}",
    )
    plots.reliability(
        calibrated["reliability"],
        folder / "reliability.png",
        title=f"{data}, validation: calibration error {calibrated['ece']:.1%}",
    )


def _told(judged: _Judged) -> str:
    report, calibrated = judged.report, judged.calibrated
    low, high = report["accuracy_interval"]
    confident = calibrated["confident"]
    return (
        f"validation accuracy {report['accuracy']:.2%} ({low:.1%} to {high:.1%}), flip-averaged "
        f"{report['flip']['accuracy']:.2%}, UAR {report['uar']:.2%}, ECE {report['ece']:.3f}, "
        f"calibrated {calibrated['ece']:.3f}; of the confident {confident['share']:.0%}, "
        f"{confident['accuracy']:.1%} are right"
    )
