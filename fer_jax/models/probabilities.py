"""Turns logits into probabilities on the host."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64


def softmax(logits: Float[np.ndarray, "batch classes"]) -> Float64[np.ndarray, "batch classes"]:
    """Returns the probabilities of logits."""
    logits = np.asarray(logits, np.float64)
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponents / exponents.sum(axis=1, keepdims=True)
