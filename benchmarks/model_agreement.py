"""How often networks agree with labels and with people, on the same faces; part of model_speed.py.

Each side gets the faces as one array file and writes its predictions as another, because sides run in
separate environments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from turns import Player

from fer_jax.data.datasets import evaluation_split
from fer_jax.data.faces import Faces
from fer_jax.evaluation import metrics
from fer_jax.evaluation.protocols import judged_faces
from fer_jax.expressions import EXPRESSIONS

FACES_FILE, ANSWERS_FILE = "faces.npy", "answers.npy"


def load_faces(data: Path, folder: Path) -> Faces:
    """Returns the validation faces of `data`; writes their images to a folder for the sides."""
    faces = evaluation_split(data, "validation")
    np.save(folder / FACES_FILE, faces.images)
    return faces


def agreement(player: Player, faces: Faces, folder: Path, *, data: Path) -> dict[str, Any]:
    """Returns a side's accuracy and, if there are votes, its agreement with the crowd.

    Args:
        player: a side that has the action "answer".
        faces: of `load_faces`.
        folder: where it wrote them.
        data: for messages.
    """
    player.play("answer", 1)
    answers = in_our_order(np.load(folder / ANSWERS_FILE), player.facts["labels"])
    return against_labels(answers, faces, data=data)


def in_our_order(answers: np.ndarray, labels: Sequence[str]) -> np.ndarray:
    """Returns float [N, 7] with its columns, named by `labels`, in the order of `EXPRESSIONS`."""
    return answers[:, [list(labels).index(name) for name in EXPRESSIONS]]


def against_labels(answers: np.ndarray, faces: Faces, *, data: Path) -> dict[str, Any]:
    """Returns figures of float [N, 7] answers under "own" and, where there are votes, "votes"."""
    shares = {}
    for by in ("own",) if faces.votes is None else ("own", "votes"):
        rows, labels = judged_faces(faces, by=by, path=data)
        report = metrics.report(answers[rows], labels)
        shares[by] = {
            name: report[name] for name in ("count", "accuracy", "accuracy_interval", "uar")
        }
    return shares


def print_agreement(rows: Mapping[str, Mapping[str, Any]]) -> None:
    """Prints a line for each network and kind of label."""
    width = max(map(len, rows))
    print(f"\n{'':{width}}  against       faces  accuracy    95 % interval  unweighted recall")
    for network, shares in rows.items():
        for by, figures in shares.items():
            low, high = figures["accuracy_interval"]
            against = "own labels" if by == "own" else "the crowd"
            print(
                f"{network:{width}}  {against:10}  {figures['count']:7,}  {figures['accuracy']:8.1%}"
                f"  {f'{low:.1%} to {high:.1%}':>15}  {figures['uar']:17.1%}"
            )
