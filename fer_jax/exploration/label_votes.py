"""A data set's own labels against FER+'s votes: agreement by expression and the worst disagreements."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any

import numpy as np

from fer_jax.data.faces import Faces
from fer_jax.data.votes import expression_votes, majority, shares
from fer_jax.exploration.face_tags import face_tags
from fer_jax.expressions import EXPRESSIONS

SHOWN = 12  # disagreements of each expression


@dataclasses.dataclass(frozen=True)
class LabelVotes:
    """What people see in the faces of one split.

    Attributes:
        agreed: faces on which a majority agrees, by label; every expression is listed.
        confirmed: how many of these have the label that the majority names.
        seen_as: the expression that the majority names most often in the others; None without any.
        unseen: share of all faces whose label nobody voted for, 0 to 1.
        worst: by label, indices of the faces that most votes name otherwise, the clearest first.
        named: int [N], what most votes name in each face.
    """

    agreed: dict[str, int]
    confirmed: dict[str, int]
    seen_as: dict[str, str | None]
    unseen: float
    worst: dict[str, np.ndarray]
    named: np.ndarray

    def seen(self, name: str) -> str:
        """Returns in words what people see in the worst faces of a label: "neutral 9, sad 3"."""
        counts = Counter(EXPRESSIONS[self.named[i]] for i in self.worst[name])
        return ", ".join(f"{other} {count}" for other, count in counts.most_common())

    def to_json(self) -> dict[str, Any]:
        """Returns explore.json's part."""
        count = max(sum(self.agreed.values()), 1)
        return {
            "agreement": sum(self.confirmed.values()) / count,
            "label_nobody_voted_for": self.unseen,
            "by_label": {
                name: {
                    "count": self.agreed[name],
                    "agreement": self.confirmed[name] / max(self.agreed[name], 1),
                    "most_often_seen_as": self.seen_as[name],
                }
                for name in EXPRESSIONS
            },
        }


def compare(faces: Faces) -> LabelVotes | None:
    """Returns the labels of N faces against their votes; None if there are no votes."""
    if faces.votes is None:
        return None
    crowd, share = majority(faces.votes), shares(faces.votes)
    for_label = expression_votes(faces.votes)[np.arange(len(faces)), faces.labels]
    doubt = share.max(axis=1) - share[np.arange(len(faces)), faces.labels]
    agreed, confirmed, seen_as, worst = {}, {}, {}, {}
    for label, name in enumerate(EXPRESSIONS):
        rows = np.flatnonzero((faces.labels == label) & (crowd >= 0))
        others = rows[crowd[rows] != label]
        agreed[name], confirmed[name] = len(rows), len(rows) - len(others)
        counts = np.bincount(crowd[others], minlength=len(EXPRESSIONS))
        seen_as[name] = EXPRESSIONS[int(counts.argmax())] if len(others) else None
        worst[name] = others[np.argsort(-doubt[others], kind="stable")][:SHOWN]
    unseen = float((for_label == 0).mean())
    return LabelVotes(agreed, confirmed, seen_as, unseen, worst, share.argmax(axis=1))


def votes_section(found: LabelVotes | None, faces: Faces) -> str:
    """Returns the page's part as HTML; empty without votes."""
    if found is None:
        return ""
    figures = found.to_json()
    rows = "".join(
        f"<tr><td>{name}<td>{each['count']:,}<td>{each['agreement']:.1%}"
        f"<td>{each['most_often_seen_as'] or ''}"
        for name, each in figures["by_label"].items()
    )
    blocks = "".join(
        f"<h3>Labelled {name}</h3><p class='soft'>People see {found.seen(name)}.</p>"
        + face_tags(
            (faces.images[i], f"{faces.names[i]}: {EXPRESSIONS[found.named[i]]}") for i in indices
        )
        for name, indices in found.worst.items()
        if len(indices)
    )
    return (
        "<h2>Labels against votes</h2>"
        "<p>Where a majority of FER+'s ten people agrees, it confirms "
        f"<b>{figures['agreement']:.1%}</b> of the labels. "
        f"{found.unseen:.1%} of all faces have a label that none of the ten gave.</p>"
        "<table><thead><tr><th>label<th>faces<th>confirmed<th>else mostly</thead>"
        f"<tbody>{rows}</tbody></table>"
        "<p class='soft'>Below, for each label, the faces that people most clearly see otherwise.</p>"
        f"{blocks}"
    )
