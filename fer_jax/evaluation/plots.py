"""Plots of a run: its history, confusion matrix and reliability, by Matplotlib's object interface."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fer_jax.expressions import EXPRESSIONS
from fer_jax.machine.files import write_bytes

_TRAIN, _VALIDATION, _RATE = "#8C8C8C", "#0072B2", "#D55E00"


def history(rows: Sequence[dict[str, Any]], path: Path, *, best_epoch: int | None) -> None:
    """Draws loss, accuracy and learning rate by epoch into the PNG `path`.

    Args:
        rows: of history.jsonl, at least one.
        path: the file to write.
        best_epoch: the epoch to mark; None for none.
    """
    epochs = [row["epoch"] for row in rows]

    def series(
        name: str,
    ) -> np.ndarray:  # epoch 0 has no training figures (None), which leaves a gap
        return np.array([row[name] for row in rows], dtype=float)

    figure = Figure(figsize=(12, 3.6), layout="constrained")
    loss, accuracy, rate = figure.subplots(1, 3)
    for name, colour in (("train", _TRAIN), ("validation", _VALIDATION)):
        marker = "o" if len(rows) < 3 else None
        loss.plot(epochs, series(f"{name}_loss"), color=colour, label=name, marker=marker)
        shares = 100 * series(f"{name}_accuracy")
        accuracy.plot(epochs, shares, color=colour, label=name, marker=marker)
    uar = 100 * series("validation_uar")
    accuracy.plot(epochs, uar, color=_VALIDATION, linestyle=":", label="validation UAR")
    rate.plot(epochs, series("learning_rate"), color=_RATE, drawstyle="steps-mid")
    loss.set_title("loss (nats; training: augmented, smoothed)", fontsize=10)
    accuracy.set_title("accuracy (%)", fontsize=10)
    rate.set_title("learning rate at the epoch's end", fontsize=10)
    for axes in (loss, accuracy, rate):
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        if best_epoch is not None:
            axes.axvline(best_epoch, color="black", linewidth=0.8, linestyle="--", label="kept")
    rate.set_ylim(bottom=0)
    loss.legend(frameon=False)
    accuracy.legend(frameon=False)
    _save(figure, path)


def confusion(matrix: np.ndarray, path: Path, *, title: str) -> None:
    """Draws a confusion matrix (int [7, 7], rows the true class) into the PNG `path`."""
    matrix = np.asarray(matrix)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(7.2, 6.4), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        axes.text(
            column,
            row,
            f"{share:.0%}\n{matrix[row, column]:,}",
            ha="center",
            va="center",
            fontsize=8.5,
            color="white" if share > 0.55 else "#222222",
        )
    axes.set_xticks(range(len(EXPRESSIONS)), EXPRESSIONS)
    axes.set_yticks(range(len(EXPRESSIONS)), EXPRESSIONS)
    axes.set_xlabel("predicted")
    axes.set_ylabel("labelled")
    axes.set_title(title, fontsize=11)
    figure.colorbar(image, ax=axes, shrink=0.8, label="share of the labelled class")
    _save(figure, path)


def reliability(bins: Sequence[dict[str, float]], path: Path, *, title: str) -> None:
    """Draws `metrics.reliability` into the PNG `path`; on the diagonal, confidence equals accuracy."""
    figure = Figure(figsize=(5.2, 5.0), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="#999999", linewidth=1, linestyle="--")
    most = max((each["count"] for each in bins), default=1)
    axes.scatter(
        [each["confidence"] for each in bins],
        [each["accuracy"] for each in bins],
        s=[20 + 280 * each["count"] / most for each in bins],
        color=_VALIDATION,
        alpha=0.8,
        label="a bin of confidence; larger: more faces",
    )
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="share that is right")
    axes.set_title(title, fontsize=11)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, loc="upper left", fontsize=9, markerscale=0.5)
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)
    write_bytes(path, buffer.getvalue())
