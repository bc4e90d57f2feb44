"""Turns logits into probabilities on the host."""

from __future__ import annotations

import numpy as np


def softmax(logits: np.ndarray) -> np.ndarray:
    """Returns probabilities, float64 [N, 7], of logits [N, 7]."""
    logits = np.asarray(logits, np.float64)
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponents / exponents.sum(axis=1, keepdims=True)
