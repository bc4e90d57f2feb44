"""Results of a `Predictor`: expressions with calibrated probabilities and their reliability."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from fer_jax.expressions import EXPRESSIONS
from fer_jax.faces.quality import Quality
from fer_jax.inference.face_card import face_card


@dataclasses.dataclass(frozen=True, eq=False)
class Prediction:
    """The predicted expressions of N face crops.

    Attributes:
        probabilities: calibrated: about 80 % of predictions at 0.8 are correct.
        uncertain_below: confidence below which a face counts as uncertain; the most confident 80 % of
            the validation faces reach it.
        labels: names of the 7 columns.
    """

    probabilities: Float32[np.ndarray, "faces 7"]
    uncertain_below: float
    labels: tuple[str, ...] = EXPRESSIONS

    def __len__(self) -> int:
        return len(self.probabilities)

    @property
    def expressions(self) -> tuple[str, ...]:
        """The most probable expression of each face."""
        return tuple(self.labels[k] for k in self.probabilities.argmax(axis=1))

    @property
    def confidence(self) -> Float32[np.ndarray, " faces"]:
        """The probability of each face's expression."""
        return self.probabilities.max(axis=1)

    @property
    def uncertain(self) -> Bool[np.ndarray, " faces"]:
        """Which faces have less confidence than four in five validation faces."""
        return self.confidence < self.uncertain_below


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Face:
    """One face of a photograph and its expression.

    Attributes:
        box: x, y, width, height in the photograph's pixels; it may reach over the border.
        landmarks: as in `fer_jax.faces.detect.Detection`; None if unknown.
        detection_score: the detector's confidence, 0 to 1.
        expression: the most probable one.
        confidence: its probability.
        probabilities: calibrated, in the order of `fer_jax.expressions.EXPRESSIONS`.
        quality: of `fer_jax.faces.quality`: "ok", or why the face cannot be read.
        uncertain: as in `Prediction`; also if the quality is not "ok".
        crop: uint8 [48, 48], the network's input.
        track: number of the face in its video, from 1; None in a photograph.
        smoothed: probabilities over the track's recent frames; None in a photograph.
    """

    box: tuple[float, float, float, float]
    landmarks: Float32[np.ndarray, "5 2"] | None
    detection_score: float
    expression: str
    confidence: float
    probabilities: Float32[np.ndarray, " 7"]
    quality: Quality
    uncertain: bool
    crop: UInt8[np.ndarray, "48 48"]
    track: int | None = None
    smoothed: Float32[np.ndarray, " 7"] | None = None

    @property
    def label(self) -> str:
        """The expression, with a question mark if it is uncertain, and its probability."""
        return f"{self.expression}{'?' if self.uncertain else ''} {self.confidence:.0%}"

    def __repr__(self) -> str:
        x, y, width, height = self.box
        track = "" if self.track is None else f", track {self.track}"
        return f"{self.label} (x {x:.0f}, y {y:.0f}, {width:.0f} x {height:.0f}{track})"

    def _repr_html_(self) -> str:
        return face_card(self.crop, self.probabilities, title=self.label)

    def as_dict(self) -> dict[str, Any]:
        """Returns plain values that JSON takes, without the crop."""
        return {
            "box": list(self.box),
            "landmarks": None if self.landmarks is None else self.landmarks.tolist(),
            "detection_score": self.detection_score,
            "expression": self.expression,
            "confidence": self.confidence,
            "quality": self.quality,
            "uncertain": self.uncertain,
            "probabilities": dict(zip(EXPRESSIONS, map(float, self.probabilities), strict=True)),
            "track": self.track,
        }
