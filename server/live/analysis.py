"""The result of one frame: its faces and the time spent in each stage."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from fer_jax.faces.quality import Quality

STAGES = ("read", "wait", "detect", "queue", "predict", "annotate", "encode")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class TrackedFace:
    """One face of a frame.

    Attributes:
        track: the track's number, the same from frame to frame.
        box: x, y, width, height in the image's pixels; it may reach over the border.
        detection_score: the detector's confidence, 0 to 1.
        raw: float32 [7], calibrated probabilities of this frame only.
        probabilities: float32 [7], smoothed over the track's last moments.
        expression: the face's label: the smoothed winner, held until another clearly wins.
        confidence: the expression's smoothed probability.
        quality: of `fer_jax.faces.quality`: "ok", or why this frame's crop cannot be read.
        uncertain: whether the smoothed confidence is below the checkpoint's threshold or the user's,
            or the quality is not "ok".
    """

    track: int
    box: tuple[float, float, float, float]
    detection_score: float
    raw: np.ndarray
    probabilities: np.ndarray
    expression: str
    confidence: float
    uncertain: bool
    quality: Quality = "ok"


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Analysis:
    """What the pipeline found in one frame; carries no pixels.

    Attributes:
        camera: its name.
        number, captured_s, wall_s: as in the frame.
        width, height: of the frame, in pixels.
        faces: in the detector's order.
        stages: seconds spent in each of `STAGES` that ran.
    """

    camera: str
    number: int
    captured_s: float
    wall_s: float
    width: int
    height: int
    faces: tuple[TrackedFace, ...]
    stages: Mapping[str, float]
