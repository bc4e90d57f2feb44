"""FER+'s votes: the majority of ten people for each face, and the shares of their votes.

FER2013's labels are the judgement of one person; FER+ asked ten people about each face (Barsoum et al.,
2016, arXiv:1608.01041). A single vote for an expression counts as a slip and is dropped, as its authors
do. Votes for contempt, "unknown" and "not a face" are outside the seven expressions: they count against
a majority and lower a face's weight, but appear in no target.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from fer_jax.data.faces import Faces
from fer_jax.expressions import FERPLUS_TO_INDEX, NUM_EXPRESSIONS

_SLIP = 1  # an expression with this many votes is dropped


def majority(votes: np.ndarray) -> np.ndarray:
    """Returns the expression with more than half of the votes, int32 [N]; -1 if there is none.

    Args:
        votes: float32 [N, 10], one column for each of `FERPLUS_COLUMNS`.
    """
    kept = _without_slips(votes)
    ours = expression_votes(kept)
    agreed = ours.max(axis=1, initial=0) > 0.5 * kept.sum(axis=1)
    return np.where(agreed, ours.argmax(axis=1), -1).astype(np.int32)


def shares(votes: np.ndarray) -> np.ndarray:
    """Returns each expression's share of the votes for any of the seven, float32 [N, 7].

    Args:
        votes: float32 [N, 10], one column for each of `FERPLUS_COLUMNS`.

    Returns:
        Rows that sum to 1; zeros for a face without votes for any of the seven.
    """
    ours = expression_votes(_without_slips(votes))
    return (ours / np.maximum(ours.sum(axis=1, keepdims=True), 1)).astype(np.float32)


def weights(votes: np.ndarray) -> np.ndarray:
    """Returns the weight of each face, float32 [N], 0 to 1.

    It is the share of votes that are for one of the seven expressions and are not slips: 1 if all ten
    people chose among the seven, 0 if none did.

    Args:
        votes: float32 [N, 10], one column for each of `FERPLUS_COLUMNS`.
    """
    ours = expression_votes(_without_slips(votes)).sum(axis=1)
    return (ours / np.maximum(votes.sum(axis=1), 1)).astype(np.float32)


def expression_votes(votes: np.ndarray) -> np.ndarray:
    """Returns the votes for each of the seven expressions in their order, [N, 7].

    Args:
        votes: [N, 10], one column for each of `FERPLUS_COLUMNS`.
    """
    columns = [FERPLUS_TO_INDEX.index(expression) for expression in range(NUM_EXPRESSIONS)]
    return votes[:, columns]


def judged(faces: Faces) -> Faces:
    """Returns the faces with votes for the seven expressions, labelled by the most frequent vote.

    Raises:
        ValueError: the faces have no votes.
    """
    share = shares(_votes_of(faces))
    rows = np.flatnonzero(share.sum(axis=1) > 0)
    return _relabelled(faces, rows, share.argmax(axis=1))


def agreed(faces: Faces) -> Faces:
    """Returns the faces with a majority, labelled by it.

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
