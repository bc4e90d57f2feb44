"""Chooses the faces of a summary as they arrive: a few per expression, and one per track."""

from __future__ import annotations

import dataclasses

from fer_jax.expressions import EXPRESSIONS
from fer_jax.scoring.rows import Row

LEAST_CERTAIN = "least certain"
GROUPS = (*EXPRESSIONS, LEAST_CERTAIN)

FACES_PER_GROUP = 8

# A track's image is replaced if the detector is this much more confident: a few times at most.
_SURER = 0.1


@dataclasses.dataclass(frozen=True)
class Portrait:
    """One face of the gallery: its row, and a base64 JPEG if one was kept."""

    row: Row
    image: str | None


class Gallery:
    """The most confident faces of each expression, and the least confident of all.

    A video's track appears once, because its frames look alike.
    """

    def __init__(self) -> None:
        """Starts empty."""
        self._groups: dict[str, dict[tuple[str, int, bool], tuple[float, Portrait]]] = {
            name: {} for name in GROUPS
        }

    def offer(self, row: Row, image: str | None = None) -> bool:
        """Adds a face if it belongs here, replacing another; returns whether it did."""
        if row.status != "ok" or row.expression is None or row.confidence is None:
            return False
        portrait = Portrait(row, image)
        best = self._admit(row.expression, row.confidence, portrait)
        return self._admit(LEAST_CERTAIN, -row.confidence, portrait) or best

    def groups(self) -> dict[str, list[Portrait]]:
        """Returns the faces by group, the most (or least) certain first."""
        return {
            name: [portrait for _, portrait in sorted(group.values(), key=lambda pair: -pair[0])]
            for name, group in self._groups.items()
        }

    def _admit(self, name: str, worth: float, portrait: Portrait) -> bool:
        group, row = self._groups[name], portrait.row
        person = row.face if row.track is None else row.track
        key = row.path, person or 0, row.track is None
        if key not in group and len(group) >= FACES_PER_GROUP:
            least = min(group, key=lambda known: group[known][0])
            if group[least][0] >= worth:
                return False
            del group[least]
        elif key in group and group[key][0] >= worth:
            return False
        group[key] = worth, portrait
        return True


class Portraits:
    """Chooses during a run which faces may need an image in the summary."""

    def __init__(self) -> None:
        """Starts before the first row."""
        self._gallery = Gallery()
        self._path = ""
        self._surest: dict[int, float] = {}  # detection score by track of the current video

    def wants(self, row: Row) -> bool:
        """Returns whether to keep an image of this row's face; takes a run's rows in order."""
        wanted = self._gallery.offer(row)
        if row.track is not None and row.detection_score is not None:
            if row.path != self._path:
                self._path = row.path
                self._surest.clear()
            if row.detection_score > self._surest.get(row.track, -1.0) + _SURER:
                self._surest[row.track] = row.detection_score
                return True
        return wanted
