"""The summary that a run prints before its first step."""

from __future__ import annotations

from pathlib import Path

import jax

from fer_jax.data import datasets
from fer_jax.data.processing import sentence
from fer_jax.machine.terminal import printable
from fer_jax.saved_model import parameter_count
from fer_jax.training.program import Program
from fer_jax.training.state import TrainState

SYNTHETIC_BANNER = """\
+--------------------------------------------------------------------------------------------+
|  No faces were found in {place:<67}|
|  Training on SYNTHETIC faces: good to see that everything runs, useless on real people.    |
|  For real ones, put FER2013 (fer2013.csv, its .zip, or train/ and test/ folders) into      |
|  data/, or give its path with --data or $FER_DATA_DIR. See docs/training.md.               |
+--------------------------------------------------------------------------------------------+"""


def summary(program: Program, state: TrainState, dataset: datasets.Dataset, folder: Path) -> str:
    """Returns the lines to print: network, devices, faces, remarks on the data, steps, folder."""
    plan, steps = program
    config, step = plan.config, int(state.step)
    lines = [
        f"{config.model.name}: {parameter_count(state.variables):,} parameters on "
        f"{steps.mesh.size} {jax.default_backend()} device(s)",
        f"{dataset.name}: {len(plan.train):,} faces to train on, "
        f"{len(plan.validation):,} to validate on"
        + (
            f"; left out of training: {left:,} the audit lists"
            if (left := _left_out(dataset))
            else ""
        )
        + (
            f"; skipped: {skipped:,} unreadable"
            if (skipped := len(dataset.card["skipped"]))
            else ""
        ),
        *dataset.remarks,
        *_processing_line(dataset),
        f"{config.epochs} epochs, {plan.total_steps:,} steps of {config.batch_size}, "
        f"in {printable(folder)}",
    ]
    if step:
        lines.append(f"resumed at step {step:,}")
    return "\n".join(lines)


def _processing_line(dataset: datasets.Dataset) -> list[str]:
    found = dataset.card.get("processing")  # synthetic faces have none
    return [] if found is None else [f"processing: {sentence(found)}"]


def _left_out(dataset: datasets.Dataset) -> int:
    return sum(dataset.card.get("audit", {}).get("excluded", {}).values())
