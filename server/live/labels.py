"""What each face of a camera is called: tracks, smoothed probabilities, labels that do not flicker.

Pure: the caller says what time it is. One `Labels` per camera; one thread at a time.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from fer_jax.expressions import EXPRESSIONS
from fer_jax.faces.detect import Detection
from fer_jax.faces.quality import Quality
from fer_jax.faces.track import Appearance, Tracker, smooth
from server.live.analysis import TrackedFace

Box = tuple[float, float, float, float]

# A camera that nobody watches gives one frame a second: its tracks have to outlive that.
_MAX_GAP_S = 1.5

# Another expression becomes the label when its smoothed probability leads by so much, or has led for
# so long. Two expressions that are equally likely take turns by a few hundredths.
_CLEAR_LEAD = 0.1
_LONG_LEAD_S = 1.0

# A face that the detector loses is back within so long, in nearly all cases.
_HIDDEN_S = 1.0


@dataclasses.dataclass
class _Face:
    """One track's memory.

    `smoothed` is float [7]; `label` and `leader` are indices into it, the leader's lead began at
    `leads_since_s`.
    """

    box: Box
    time_s: float
    smoothed: np.ndarray
    label: int
    leader: int
    leads_since_s: float

    def follow(self, box: Box, raw: np.ndarray, time_s: float, *, smoothing_s: float) -> None:
        """Takes in the next frame's probabilities, float [7]."""
        self.smoothed = smooth(
            self.smoothed, raw, step_s=time_s - self.time_s, time_constant_s=smoothing_s
        )
        self.box, self.time_s = box, time_s
        leader = int(self.smoothed.argmax())
        if leader != self.leader:
            self.leader, self.leads_since_s = leader, time_s
        lead = self.smoothed[leader] - self.smoothed[self.label]
        if lead >= _CLEAR_LEAD or time_s - self.leads_since_s >= _LONG_LEAD_S:
            self.label = leader


class Labels:
    """Follows one camera's faces from frame to frame."""

    def __init__(self) -> None:
        """Starts without a face."""
        self._tracker = Tracker(max_gap_s=_MAX_GAP_S)
        self._faces: dict[int, _Face] = {}

    def update(
        self,
        detections: Sequence[Detection],
        appearances: Sequence[Appearance],
        qualities: Sequence[Quality],
        probabilities: np.ndarray,
        time_s: float,
        *,
        smoothing_s: float,
        uncertain_below: float,
    ) -> tuple[TrackedFace, ...]:
        """Returns the faces of the next frame, in the detector's order.

        Args:
            detections: N faces.
            appearances: of each; they tell faces apart.
            qualities: of each; a face that is not "ok" is uncertain.
            probabilities: float32 [N, 7] of this frame alone.
            time_s: when the frame was captured, in seconds. Going back forgets all tracks.
            smoothing_s: time constant; 0 smooths nothing.
            uncertain_below: confidence under which a face counts as uncertain.
        """
        numbers = self._tracker.update(detections, time_s, appearances)
        faces = []
        for number, detection, quality, raw in zip(
            numbers, detections, qualities, probabilities, strict=True
        ):
            box = detection.x, detection.y, detection.width, detection.height
            face = self._follow(number, box, raw, time_s, smoothing_s=smoothing_s)
            confidence = float(face.smoothed[face.label])
            faces.append(
                TrackedFace(
                    track=number,
                    box=box,
                    detection_score=detection.score,
                    raw=raw,
                    probabilities=face.smoothed,
                    expression=EXPRESSIONS[face.label],
                    confidence=confidence,
                    quality=quality,
                    uncertain=quality != "ok" or confidence < uncertain_below,
                )
            )
        alive = self._tracker.alive
        self._faces = {number: self._faces[number] for number in self._faces if number in alive}
        return tuple(faces)

    def lost(self, time_s: float) -> tuple[Box, ...]:
        """Returns where faces were until a moment ago that the detector did not find at `time_s`.

        What hides faces has to hide these places, too: most of them still have their face.
        """
        return tuple(
            face.box for face in self._faces.values() if 0 < time_s - face.time_s <= _HIDDEN_S
        )

    def _follow(
        self, number: int, box: Box, raw: np.ndarray, time_s: float, *, smoothing_s: float
    ) -> _Face:
        face = self._faces.get(number)
        if face is None:
            best = int(raw.argmax())
            face = _Face(box, time_s, raw, best, best, time_s)
            self._faces[number] = face
        else:
            face.follow(box, raw, time_s, smoothing_s=smoothing_s)
        return face
