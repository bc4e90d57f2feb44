"""A degraded split: the same faces dark, bright, blurred, small, noisy, half in shadow and turned.

The recipe is fixed: `DEGRADATIONS`, with a random stream for each kind and face. Two networks see the
same damage, today and later.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from fer_jax.data.degradations import DEGRADATIONS
from fer_jax.data.faces import Faces
from fer_jax.data.randomness import host_generator
from fer_jax.evaluation import metrics
from fer_jax.models.probabilities import softmax

_SEED = 0
_FIGURES = ("accuracy", "accuracy_interval", "uar", "ece")


def degraded_faces(faces: Faces, kind: str) -> Faces:
    """Returns the same faces, every one degraded; `kind` is a key of DEGRADATIONS."""
    degrade = DEGRADATIONS[kind]
    images = [
        degrade(face, host_generator(_SEED, f"degraded {kind}", index))
        for index, face in enumerate(faces.images)
    ]
    return dataclasses.replace(faces, images=np.stack(images))


def degraded_report(
    faces: Faces, labels: np.ndarray, *, logits_of: Callable[[Faces], np.ndarray]
) -> dict[str, Any]:
    """Returns single-crop figures for each kind of damage under "kinds", and their mean under "mean".

    Args:
        faces: N >= 1 of them.
        labels: int [N], what they are compared with.
        logits_of: the network, faces -> float32 [N, 7].
    """
    kinds = {}
    for kind in DEGRADATIONS:
        figures = metrics.report(softmax(logits_of(degraded_faces(faces, kind))), labels)
        kinds[kind] = {name: figures[name] for name in _FIGURES}
    mean = {
        name: float(np.mean([figures[name] for figures in kinds.values()]))
        for name in ("accuracy", "uar", "ece")
    }
    return {"kinds": kinds, "mean": mean}
