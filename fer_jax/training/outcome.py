"""The end of a run: the best checkpoint's figures, card and plots."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from fer_jax.errors import TrainingError
from fer_jax.files import write_json
from fer_jax.saved_model import FOLDER, load_model
from fer_jax.training import plots, reports, sharding, workdir
from fer_jax.training.program import Program, validate


def write_outcome(
    program: Program,
    folder: Path,
    *,
    best: int | None,
    data_card: dict[str, Any],
    command_line: str,
    lineage: Mapping[str, str | None],
) -> None:
    """Evaluates the best checkpoint on validation and writes all that a person wants to see.

    Args:
        program: the run's.
        folder: its workdir, with the history and the checkpoints.
        best: step of the checkpoint to keep.
        data_card: what the card tells about the data.
        command_line: that made it.
        lineage: as `reports.card` takes it.

    Raises:
        TrainingError: there is no checkpoint.
    """
    if best is None:
        raise TrainingError(f"{folder}: no checkpoint was written")
    saved = load_model(folder / FOLDER / str(best))
    variables = jax.device_put(saved.variables, sharding.replicated(program.mesh))
    _, logits = validate(program, variables, program.validation)
    _, flipped = validate(program, variables, program.validation.mirrored())
    labels = program.validation.labels
    report = reports.split_report(split="validation", logits=logits, flipped=flipped, labels=labels)
    temperature = reports.fit_temperature(logits, labels)
    calibrated = reports.softmax(logits / temperature)
    uncertain_below = reports.confidence_threshold(calibrated)
    trusted = reports.calibrated_figures(calibrated, labels, uncertain_below=uncertain_below)
    rows = workdir.read_rows(folder / workdir.HISTORY)
    epoch = next((row["epoch"] for row in rows if row["step"] == best), 0)
    card = reports.card(
        config=program.config,
        dataset=data_card,
        command=command_line,
        variables=saved.variables,
        step=best,
        epoch=epoch,
        report=report,
        temperature=temperature,
        uncertain_below=uncertain_below,
        calibrated=trusted,
        lineage=lineage,
    )
    write_json(folder / "report.json", report)
    write_json(folder / "card.json", card)
    plots.history(rows, folder / "history.png", best_epoch=epoch)
    plots.confusion(
        np.asarray(report["confusion"]),
        folder / "confusion.png",
        title=f"{data_card['name']}, validation: accuracy {report['accuracy']:.1%}, "
        f"UAR {report['uar']:.1%}",
    )
    plots.reliability(
        trusted["reliability"],
        folder / "reliability.png",
        title=f"{data_card['name']}, validation: calibration error {trusted['ece']:.1%}",
    )
    low, high = report["accuracy_interval"]
    print(
        f"kept epoch {epoch} (best {program.config.best_by}): validation accuracy "
        f"{report['accuracy']:.2%} ({low:.1%} to {high:.1%}), flip-averaged "
        f"{report['flip']['accuracy']:.2%}, UAR {report['uar']:.2%}, ECE {report['ece']:.3f}, "
        f"calibrated {trusted['ece']:.3f}; of the confident {trusted['confident']['share']:.0%}, "
        f"{trusted['confident']['accuracy']:.1%} are right"
        f"\nsee {folder}/report.json, card.json, history.png, confusion.png and reliability.png"
    )
