"""The reports and cards that a run or an evaluation writes."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
import scipy.optimize
import scipy.stats
from jaxtyping import Float, Float32

from fer_jax.config import Config, to_dict
from fer_jax.evaluation import metrics
from fer_jax.models.probabilities import softmax
from fer_jax.saved_model import Variables, digest, parameter_count

_PACKAGES = ("fer_jax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")
_PACKAGES += ("opencv-python-headless", "tensorflow-datasets")


def split_report(
    *,
    split: str,
    logits: Float32[np.ndarray, "faces 7"],
    flipped: Float32[np.ndarray, "faces 7"],
    labels: metrics.Labels,
) -> dict[str, Any]:
    """Returns the report of a split: single-crop figures, and flip-averaged ones under "flip".

    Args:
        split: its name.
        logits: of the faces.
        flipped: of their mirror images.
        labels: of the faces.
    """
    single, mirrored = softmax(logits), softmax(flipped)
    return {
        "split": split,
        **metrics.report(single, labels),
        "flip": {"split": split, **metrics.report((single + mirrored) / 2, labels)},
    }


def across_runs(reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns mean figures of several trainings on the same split, with their run-to-run variance.

    Args:
        reports: M >= 2 `split_report`s of it, one a training.

    Returns:
        Figure -> its mean and the mean's 95 % interval (Student's t, M - 1 degrees of freedom);
        flip-averaged ones under "flip".
    """
    spread = float(scipy.stats.t.ppf(0.975, len(reports) - 1)) / np.sqrt(len(reports))

    def over(each: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        across = {}
        for name in ("accuracy", "uar", "macro_f1", "loss", "ece"):
            values = np.array([figures[name] for figures in each])
            mean, half = float(values.mean()), spread * float(values.std(ddof=1))
            across[name] = {"mean": mean, "interval": [mean - half, mean + half]}
        return across

    flip = over([report["flip"] for report in reports])
    return {"runs": len(reports), **over(reports), "flip": flip}


def fit_temperature(logits: Float[np.ndarray, "faces 7"], labels: metrics.Labels) -> float:
    """Returns the temperature T with which softmax(logits / T) fits the labels best (Guo et al., 2017).

    Args:
        logits: of the validation split.
        labels: of the same faces.
    """

    def loss(log_temperature: float) -> float:
        probabilities = softmax(logits / np.exp(log_temperature))
        of_true = probabilities[np.arange(len(labels)), labels]
        return float(-np.log(np.maximum(of_true, 1e-12)).mean())

    found = scipy.optimize.minimize_scalar(loss, bounds=(-3.0, 3.0), method="bounded")
    return float(np.exp(found.x))


def confidence_threshold(probabilities: metrics.Probabilities, *, share: float = 0.8) -> float:
    """Returns the confidence that the most confident `share` of faces reach.

    Args:
        probabilities: calibrated, of the validation split.
        share: of the faces, 0 to 1.
    """
    return float(np.quantile(probabilities.max(axis=1), 1 - share))


def calibrated_figures(
    probabilities: metrics.Probabilities, labels: metrics.Labels, *, uncertain_below: float
) -> dict[str, Any]:
    """Returns how reliable calibrated probabilities are.

    That is their calibration error, their reliability by bin of confidence, and the share and accuracy
    of the faces whose confidence reaches `uncertain_below`.
    """
    correct = probabilities.argmax(axis=1) == labels
    confident = probabilities.max(axis=1) >= uncertain_below
    hits, count = int((correct & confident).sum()), int(confident.sum())
    return {
        "ece": metrics.calibration_error(probabilities, labels),
        "reliability": metrics.reliability(probabilities, labels),
        "confident": {
            "share": count / max(len(labels), 1),
            "accuracy": hits / max(count, 1),
            "accuracy_interval": list(metrics.wilson_interval(hits, count)),
        },
    }


def card(
    *,
    config: Config,
    dataset: dict[str, Any],
    command: str,
    variables: Variables,
    step: int,
    epoch: int,
    report: dict[str, Any],
    temperature: float,
    uncertain_below: float,
    calibrated: dict[str, Any],
    lineage: Mapping[str, str | None] | None = None,
) -> dict[str, Any]:
    """Returns a checkpoint's card: its origin and its figures.

    Args:
        config: of the run.
        dataset: the data's own card.
        command: the command that trained it.
        variables: of the kept checkpoint.
        step: at which it was kept.
        epoch: at which it was kept.
        report: of the validation split.
        temperature: to divide its logits by.
        uncertain_below: the `confidence_threshold`.
        calibrated: its `calibrated_figures` on that split.
        lineage: digests of the network it started from, `start`, and of its teachers, `teacher`.
    """
    figures = ("accuracy", "accuracy_interval", "uar", "loss", "ece")
    return {
        "model": config.model.name,
        "parameters": parameter_count(variables),
        "digest": digest(variables),
        "step": step,
        "epoch": epoch,
        "seed": config.seed,
        **{name: (lineage or {}).get(name) for name in ("start", "teacher")},
        "dataset": dataset,
        "validation": {
            "count": report["count"],
            **{name: report[name] for name in figures},
            "flip": {name: report["flip"][name] for name in figures},
        },
        "temperature": temperature,
        "uncertain_below": uncertain_below,
        "calibrated": calibrated,
        "command": command,
        "config": to_dict(config),
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Returns the versions of Python and of the packages that figures depend on, and JAX's platform."""
    return {
        "python": platform.python_version(),
        **{name: found for name in _PACKAGES if (found := _version(name))},
        "platform": jax.default_backend(),
        "devices": str(jax.device_count()),
    }


def _version(package: str) -> str | None:
    """Returns the installed version; None for a package used without being installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
