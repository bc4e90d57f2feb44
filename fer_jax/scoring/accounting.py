"""Converts views to rows, so that every input is accounted for and faces of a video keep their track."""

from __future__ import annotations

import numpy as np

from fer_jax.expressions import EXPRESSIONS
from fer_jax.faces.track import Appearance, Tracker, smooth
from fer_jax.scoring.rows import Row, Status, path_text
from fer_jax.scoring.views import ScoredFace, View

# More digits than are meaningful, but short enough to read.
_PROBABILITY_DIGITS = 6
_PIXEL_DIGITS = 2
_TIME_DIGITS = 3


class Accountant:
    """Takes all views of a run in order; holds the state of the current input.

    Attributes:
        status: of the input, after its last view.
    """

    def __init__(self) -> None:
        """Starts before the first input."""
        self.status: Status = "no_face"
        self._begin()

    def rows(self, view: View) -> list[Row]:
        """Returns the rows that a view adds: its faces, and at the end of its input any other rows."""
        if self._ended:
            self._begin()
        path = path_text(view.path if view.name is None else view.name)
        rows = [self._row(path, view, n, face) for n, face in enumerate(view.faces)]
        if view.frame is not None and view.faces:
            rows = self._followed(view, rows)
        if view.error is not None:
            rows.append(_unreadable(path, view))
            self._unreadable = True
        if view.ends_input and not rows and not self._some:
            rows.append(Row(path, "no_face"))
            self.status = "no_face"
        elif view.ends_input:
            self.status = "unreadable" if self._unreadable else "ok"
        if view.note is not None:
            rows.append(Row(path, "note", error=view.note))
        self._some = self._some or bool(rows)
        self._ended = view.ends_input
        return rows

    def _begin(self) -> None:
        self._some = self._unreadable = self._ended = False
        self._tracker = Tracker()
        self._smoothed: dict[int, tuple[float, np.ndarray]] = {}

    def _row(self, path: str, view: View, number: int, face: ScoredFace) -> Row:
        found = face.detection
        return Row(
            path,
            "ok",
            frame=view.frame.index if view.frame else None,
            time_s=round(view.frame.time_s, _TIME_DIGITS) if view.frame else None,
            face=number + 1,
            box=(
                round(found.x, _PIXEL_DIGITS),
                round(found.y, _PIXEL_DIGITS),
                round(found.width, _PIXEL_DIGITS),
                round(found.height, _PIXEL_DIGITS),
            ),
            detection_score=round(found.score, _PROBABILITY_DIGITS),
            expression=EXPRESSIONS[int(face.probabilities.argmax())],
            confidence=round(face.confidence, _PROBABILITY_DIGITS),
            uncertain=face.uncertain,
            quality=face.quality,
            probabilities=_rounded(face.probabilities),
        )

    def _followed(self, view: View, rows: list[Row]) -> list[Row]:
        """Adds the tracks and the smoothed probabilities of one frame's faces."""
        assert view.frame is not None
        now = view.frame.time_s
        tracks = self._tracker.update(
            [face.detection for face in view.faces],
            now,
            [Appearance.of(face.crop) for face in view.faces],
        )
        alive = self._tracker.alive
        self._smoothed = {k: known for k, known in self._smoothed.items() if k in alive}
        followed = []
        for row, face, track in zip(rows, view.faces, tracks, strict=True):
            time_s, before = self._smoothed.get(track, (now, None))
            smoothed = smooth(before, face.probabilities, step_s=now - time_s)
            self._smoothed[track] = now, smoothed
            followed.append(
                row._replace(
                    track=track,
                    smoothed=_rounded(smoothed),
                    smooth_expression=EXPRESSIONS[int(smoothed.argmax())],
                )
            )
        return followed


def _rounded(probabilities: np.ndarray) -> tuple[float, ...]:
    return tuple(probabilities.astype(float).round(_PROBABILITY_DIGITS).tolist())


def _unreadable(path: str, view: View) -> Row:
    """Returns the row for an input, the rest of a video, or a single frame, which is then named."""
    return Row(
        path,
        "unreadable",
        frame=view.frame.index if view.frame else None,
        time_s=round(view.frame.time_s, _TIME_DIGITS) if view.frame else None,
        error=view.error,
    )
