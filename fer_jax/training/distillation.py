"""Distillation: the probabilities that teacher networks assign to a face become part of its target.

FER2013's labels are noisy: people agree with about two in three. A teacher that has not overfit spreads
a label over other plausible expressions (Furlanello et al., 2018, arXiv:1805.04770).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from fer_jax.data.faces import Faces
from fer_jax.evaluation.evaluation import saved_logits
from fer_jax.models.probabilities import softmax
from fer_jax.saved_model import SavedModel, calibration


def teacher_targets(teachers: Sequence[SavedModel], faces: Faces) -> Float32[np.ndarray, "faces 7"]:
    """Returns the mean of the teachers' calibrated, flip-averaged probabilities.

    Raises:
        CheckpointError: a network is not one of this version's.
    """
    views = []
    for teacher in teachers:
        temperature, _ = calibration(teacher)
        views += [softmax(logits / temperature) for logits in saved_logits(teacher, faces)]
    return np.mean(np.stack(views), axis=0).astype(np.float32)


def blend(
    targets: Float32[np.ndarray, "faces 7"], taught: Float32[np.ndarray, "faces 7"], *, share: float
) -> Float32[np.ndarray, "faces 7"]:
    """Returns the targets with this share of each replaced by the teacher's."""
    return ((1 - share) * targets + share * taught).astype(np.float32)
