"""Learning from another network: what a teacher sees in each training face, as part of its target.

FER2013's labels are noisy: people agree with about two in three. A teacher that has not learned them by
heart spreads a label over what the face may also show (Furlanello et al., 2018, arXiv:1805.04770).
"""

from __future__ import annotations

import numpy as np

from fer_jax.data.faces import Faces
from fer_jax.inference import calibration
from fer_jax.saved_model import SavedModel
from fer_jax.training.evaluation import saved_logits
from fer_jax.training.reports import softmax


def teacher_targets(teacher: SavedModel, faces: Faces) -> np.ndarray:
    """Returns what the teacher sees in each face: calibrated, flip-averaged, float32 [N, 7].

    Raises:
        CheckpointError: its network is not one of this version's.
    """
    temperature, _ = calibration(teacher)
    single, flipped = (softmax(logits / temperature) for logits in saved_logits(teacher, faces))
    return ((single + flipped) / 2).astype(np.float32)


def blend(targets: np.ndarray, taught: np.ndarray, *, share: float) -> np.ndarray:
    """Returns the targets, float32 [N, 7], with this share of each replaced by the teacher's."""
    return ((1 - share) * targets + share * taught).astype(np.float32)
