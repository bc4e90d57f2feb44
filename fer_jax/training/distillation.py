"""Distillation: the probabilities that teacher networks assign to a face become part of its target.

FER2013's labels are noisy: people agree with about two in three. A teacher that has not overfit spreads
a label over other plausible expressions (Furlanello et al., 2018, arXiv:1805.04770).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fer_jax.data.faces import Faces
from fer_jax.evaluation.evaluation import saved_logits
from fer_jax.models.probabilities import softmax
from fer_jax.saved_model import SavedModel, calibration


def teacher_targets(teachers: Sequence[SavedModel], faces: Faces) -> np.ndarray:
    """Returns the mean of the teachers' calibrated, flip-averaged probabilities, float32 [N, 7].

    Raises:
        CheckpointError: a network is not one of this version's.
    """
    views = []
    for teacher in teachers:
        temperature, _ = calibration(teacher)
        views += [softmax(logits / temperature) for logits in saved_logits(teacher, faces)]
    return np.mean(np.stack(views), axis=0).astype(np.float32)


def blend(targets: np.ndarray, taught: np.ndarray, *, share: float) -> np.ndarray:
    """Returns the targets, float32 [N, 7], with this share of each replaced by the teacher's."""
    return ((1 - share) * targets + share * taught).astype(np.float32)
