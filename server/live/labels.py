"""Labels each face of a camera: tracks, smoothed probabilities, labels that do not flicker.

Pure: the caller passes the time. One `Labels` per camera; one thread at a time.
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

# A camera without viewers gives one frame a second: its tracks must outlive that.
_MAX_GAP_S = 1.5

# Another expression becomes the label when its smoothed probability leads by this much, or has led for
# this long. Two equally likely expressions alternate by a few hundredths.
_CLEAR_LEAD = 0.1
_LONG_LEAD_S = 1.0

# The detector nearly always finds a lost face again within this time.
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
        """Updates with the next frame's probabilities, float [7]."""
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
            appearances: of each; they distinguish faces.
            qualities: of each; a face that is not "ok" is uncertain.
            probabilities: float32 [N, 7] of this frame only.
            time_s: when the frame was captured, in seconds. Going back forgets all tracks.
            smoothing_s: time constant; 0 disables smoothing.
            uncertain_below: confidence below which a face is uncertain.
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
        """Returns the last boxes of recent faces that the detector did not find at `time_s`.

        Code that hides faces must hide these places too: most still show the face.
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
