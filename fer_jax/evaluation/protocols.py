"""Which labels answers are compared with: the data's own, or the majority of FER+'s ten people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fer_jax.config import Labels
from fer_jax.data.faces import Faces
from fer_jax.data.votes import majority
from fer_jax.errors import DataError
from fer_jax.evaluation import metrics, reports
from fer_jax.models.probabilities import softmax


def judged_faces(faces: Faces, *, by: Labels, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Returns which faces count, int [M], and their labels, int32 [M].

    Args:
        faces: N of them.
        by: "own" counts all faces, "votes" those on which a majority agrees.
        path: of the data, for the message.

    Raises:
        DataError: the faces have no votes.
    """
    if by == "own":
        return np.arange(len(faces)), faces.labels
    if faces.votes is None:
        raise DataError(f"{path}: has no FER+ votes; put fer2013new.csv next to fer2013.csv")
    labels = majority(faces.votes)
    rows = np.flatnonzero(labels >= 0)
    return rows, labels[rows]


def report_by_labels(
    faces: Faces,
    *,
    split: str,
    logits: np.ndarray,
    flipped: np.ndarray,
    temperature: float,
    path: Path,
) -> dict[str, Any]:
    """Returns a `split_report` under "votes", where the faces have any, and one under "own".

    Args:
        faces: N of them.
        split: its name.
        logits: float32 [N, 7], of the faces.
        flipped: float32 [N, 7], of their mirror images.
        temperature: that calibrates the logits, for "calibrated_ece".
        path: of the data, for messages.
    """
    single, mirrored = softmax(logits / temperature), softmax(flipped / temperature)
    by_protocol = {}
    protocols: tuple[Labels, ...] = ("own",) if faces.votes is None else ("votes", "own")
    for by in protocols:
        rows, labels = judged_faces(faces, by=by, path=path)
        report = reports.split_report(
            split=split, logits=logits[rows], flipped=flipped[rows], labels=labels
        )
        answers = single[rows], (single[rows] + mirrored[rows]) / 2
        for figures, probabilities in zip((report, report["flip"]), answers, strict=True):
            figures["calibrated_ece"] = metrics.calibration_error(probabilities, labels)
        by_protocol[by] = report
    return by_protocol
