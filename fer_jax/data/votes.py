"""What the crowd sees in a face: the votes of FER+'s ten people, their majority and their shares.

FER2013's labels are one person's; FER+ asked ten people for each face (Barsoum et al., 2016,
arXiv:1608.01041). A vote that nobody else casts is taken for a slip and dropped, as its authors do.
Votes for contempt, "unknown" and "not a face" have no place among the seven expressions: they count
against a majority and lower a face's weight, but no target holds them.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from fer_jax.data.faces import Faces
from fer_jax.expressions import FERPLUS_TO_INDEX, NUM_EXPRESSIONS

_SLIP = 1  # votes; as many for one answer are dropped


def majority(votes: np.ndarray) -> np.ndarray:
    """Returns the expression that more than half of the votes name, int32 [N], -1 where none does.

    Args:
        votes: float32 [N, 10], one column for each of `FERPLUS_COLUMNS`.
    """
    kept = _without_slips(votes)
    ours = _expressions(kept)
    agreed = ours.max(axis=1, initial=0) > 0.5 * kept.sum(axis=1)
    return np.where(agreed, ours.argmax(axis=1), -1).astype(np.int32)


def shares(votes: np.ndarray) -> np.ndarray:
    """Returns each expression's share of the votes for any of the seven, float32 [N, 7].

    Args:
        votes: float32 [N, 10], one column for each of `FERPLUS_COLUMNS`.

    Returns:
        Rows that sum to 1; zeros where nobody sees any of the seven.
    """
    ours = _expressions(_without_slips(votes))
    return (ours / np.maximum(ours.sum(axis=1, keepdims=True), 1)).astype(np.float32)


def weights(votes: np.ndarray) -> np.ndarray:
    """Returns how much of a crowd's vote a face has, float32 [N], 0 to 1.

    It is the share of all votes cast that is for one of the seven and no slip: 1 where ten people stay
    among the seven, 0 where nobody sees any of them.

    Args:
        votes: float32 [N, 10], one column for each of `FERPLUS_COLUMNS`.
    """
    ours = _expressions(_without_slips(votes)).sum(axis=1)
    return (ours / np.maximum(votes.sum(axis=1), 1)).astype(np.float32)


def judged(faces: Faces) -> Faces:
    """Returns the faces in which the crowd sees one of the seven, labelled with what most votes name.

    Raises:
        ValueError: the faces have no votes.
    """
    share = shares(_votes_of(faces))
    rows = np.flatnonzero(share.sum(axis=1) > 0)
    return _relabelled(faces, rows, share.argmax(axis=1))


def agreed(faces: Faces) -> Faces:
    """Returns the faces on which a majority agrees, labelled with what it sees.

    Raises:
        ValueError: the faces have no votes.
    """
    label = majority(_votes_of(faces))
    return _relabelled(faces, np.flatnonzero(label >= 0), label)


def _votes_of(faces: Faces) -> np.ndarray:
    if faces.votes is None:
        raise ValueError("these faces have no votes")
    return faces.votes


def _relabelled(faces: Faces, rows: np.ndarray, labels: np.ndarray) -> Faces:
    return dataclasses.replace(faces.take(rows), labels=labels[rows].astype(np.int32))


def _without_slips(votes: np.ndarray) -> np.ndarray:
    return np.where(votes > _SLIP, votes, 0)


def _expressions(votes: np.ndarray) -> np.ndarray:
    """The columns of the seven expressions in their order, [N, 7]."""
    columns = [FERPLUS_TO_INDEX.index(expression) for expression in range(NUM_EXPRESSIONS)]
    return votes[:, columns]
