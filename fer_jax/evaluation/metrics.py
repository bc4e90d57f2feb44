"""Figures of a classifier. Sums are accumulated on the device, everything else derives from them.

The one accumulator is the confusion matrix with the summed loss and the count; the report of a whole
split adds what needs each probability: the calibration error and the flip-averaged figures.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Float32, Int32, Integer

from fer_jax.data.in_memory import Array
from fer_jax.expressions import EXPRESSIONS, NUM_EXPRESSIONS

Probabilities: TypeAlias = Float[np.ndarray, "faces 7"]
Labels: TypeAlias = Integer[np.ndarray, " faces"]

_ECE_BINS = 15  # as in Guo et al., 2017, arXiv:1706.04599
_Z95 = 1.959963984540054  # two-sided 95 % of the normal distribution


class Sums(NamedTuple):
    """What is added up over batches.

    Attributes:
        loss: summed over examples.
        confusion: rows the true class, columns the predicted one.
    """

    loss: Float32[jax.Array, ""]
    confusion: Int32[jax.Array, "7 7"]

    @staticmethod
    def zero() -> Sums:
        """Nothing counted yet."""
        return Sums(jnp.zeros((), jnp.float32), jnp.zeros((NUM_EXPRESSIONS,) * 2, jnp.int32))

    def add(
        self,
        *,
        loss: Float[Array, " batch"],
        logits: Float[Array, "batch 7"],
        label: Integer[Array, " batch"],
        weight: Float[Array, " batch"],
    ) -> Sums:
        """Counts a batch; examples of weight 0 do not count."""
        predicted = jnp.argmax(logits, axis=-1)
        counted = (weight > 0).astype(jnp.int32)
        return Sums(
            loss=self.loss + jnp.sum(loss * weight),
            confusion=self.confusion.at[label, predicted].add(counted),
        )


def figures(confusion: Integer[np.ndarray, "7 7"], *, loss: float) -> dict[str, Any]:
    """Returns all that derives from a confusion matrix.

    Args:
        confusion: rows the true class.
        loss: mean cross-entropy in nats.

    Returns:
        count, accuracy, accuracy_interval (Wilson, 95 %), uar (unweighted average recall over the
        classes present), macro_f1 (over the same), loss, per_class and confusion.
    """
    confusion = np.asarray(confusion, np.int64)
    support, predicted = confusion.sum(axis=1), confusion.sum(axis=0)
    hits = np.diag(confusion)
    count = int(support.sum())
    recall = hits / np.maximum(support, 1)
    precision = hits / np.maximum(predicted, 1)
    f1 = 2 * hits / np.maximum(support + predicted, 1)
    present = support > 0
    accuracy = float(hits.sum() / max(count, 1))
    return {
        "count": count,
        "accuracy": accuracy,
        "accuracy_interval": list(wilson_interval(int(hits.sum()), count)),
        "uar": float(recall[present].mean()) if present.any() else 0.0,
        "macro_f1": float(f1[present].mean()) if present.any() else 0.0,
        "loss": float(loss),
        "per_class": {
            name: {
                "precision": float(precision[k]),
                "recall": float(recall[k]),
                "f1": float(f1[k]),
                "support": int(support[k]),
            }
            for k, name in enumerate(EXPRESSIONS)
        },
        "confusion": confusion.tolist(),
    }


def report(probabilities: Probabilities, labels: Labels) -> dict[str, Any]:
    """Returns `figures` and the calibration error of a whole split.

    Args:
        probabilities: rows summing to 1.
        labels: of the same faces.
    """
    confusion = np.zeros((NUM_EXPRESSIONS,) * 2, np.int64)
    np.add.at(confusion, (labels, probabilities.argmax(axis=1)), 1)
    of_true = probabilities[np.arange(len(labels)), labels]
    loss = float(-np.log(np.maximum(of_true, 1e-12)).mean()) if len(labels) else 0.0
    return {**figures(confusion, loss=loss), "ece": calibration_error(probabilities, labels)}


def calibration_error(probabilities: Probabilities, labels: Labels) -> float:
    """Expected calibration error: mean gap of confidence and accuracy over 15 bins of confidence."""
    bins = reliability(probabilities, labels)
    gaps = (each["count"] * abs(each["confidence"] - each["accuracy"]) for each in bins)
    return float(sum(gaps) / max(len(labels), 1))


def reliability(probabilities: Probabilities, labels: Labels) -> list[dict[str, float]]:
    """Returns mean confidence, accuracy and count of the faces in each bin of confidence with any.

    Args:
        probabilities: rows summing to 1.
        labels: of the same faces.
    """
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * _ECE_BINS).astype(int), _ECE_BINS - 1)
    return [
        {
            "confidence": float(confidence[bins == k].mean()),
            "accuracy": float(correct[bins == k].mean()),
            "count": int((bins == k).sum()),
        }
        for k in np.unique(bins)
    ]


def wilson_interval(hits: int, count: int) -> tuple[float, float]:
    """95 % interval of a proportion (Wilson, 1927); (0, 1) for a count of 0."""
    if count == 0:
        return 0.0, 1.0
    share, z2 = hits / count, _Z95**2
    centre = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = _Z95 * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2)) / (1 + z2 / count)
    return max(0.0, centre - half), min(1.0, centre + half)
