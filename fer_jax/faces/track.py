"""Tracks faces from frame to frame and smooths their probabilities over time.

A detection belongs to a track if its box overlaps the predicted box and, where crops are given, if both
look alike. All times are in seconds, so that any frame rate works, also a varying one. The module reads
no clock: the caller passes the time.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import cv2
import numpy as np

from fer_jax.faces.detect import Detection
from fer_jax.faces.preprocess import grey_face

MAX_GAP_S = 1.0
TIME_CONSTANT_S = 0.5

_MIN_OVERLAP = 0.2
# Likeness is the correlation of two appearances, minus a penalty for a change of brightness. In nine
# seconds of video with two cuts, the same face scored over 0.5 from frame to frame in 99 % of cases, and
# different faces at a cut scored 0.35 at most. The threshold falls with time, because people turn.
_STRANGER, _STRANGER_MEMORY_S = 0.5, 0.3
_BRIGHTNESS_SHARE, _BRIGHTNESS_FREE = 0.5, 0.2  # natural logarithms of the mean grey level
# Two people look less alike than this in 99 % of pairs.
_ALIKE = 0.75
# A face that no longer overlaps may have moved this many of its sizes, if it looks alike.
_MAX_JUMP = 1.5
_PATTERN_SIDE = 16  # pixels; details smaller than that are expression and noise
_APPEARANCE_MEMORY_S = 0.2
_DARK = 8.0  # grey levels that are noise
_VELOCITY_MEMORY_S = 0.2
_MAX_EXTRAPOLATION_S = 0.3


@dataclasses.dataclass(frozen=True)
class Appearance:
    """The appearance of a face: float [256], zero mean and unit length, and its log brightness."""

    pattern: np.ndarray
    brightness: float

    @classmethod
    def of(cls, crop: np.ndarray) -> Appearance:
        """Returns the appearance of a face crop, uint8 of any size, grey or colour."""
        side = (_PATTERN_SIDE, _PATTERN_SIDE)
        small = cv2.resize(grey_face(crop), side, interpolation=cv2.INTER_AREA).astype(float)
        return cls(_normalised(small.ravel()), math.log(small.mean() + _DARK))

    def towards(self, other: Appearance, share: float) -> Appearance:
        """Returns the appearance moved by this share towards another."""
        pattern = self.pattern + share * (other.pattern - self.pattern)
        brightness = self.brightness + share * (other.brightness - self.brightness)
        return Appearance(_normalised(pattern), brightness)


_UNSEEN = Appearance(np.zeros(_PATTERN_SIDE**2), math.nan)


def likeness(ones: Sequence[Appearance], others: Sequence[Appearance]) -> np.ndarray:
    """Returns how alike each of M appearances is each of N others, float [M, N].

    1 means the same appearance; two people in the same light score about 0.5.
    """
    patterns, other_patterns = (
        np.stack([appearance.pattern for appearance in side]) for side in (ones, others)
    )
    brightness, other_brightness = (
        np.array([appearance.brightness for appearance in side]) for side in (ones, others)
    )
    apart = np.maximum(0, np.abs(brightness[:, None] - other_brightness) - _BRIGHTNESS_FREE)
    return patterns @ other_patterns.T - _BRIGHTNESS_SHARE * apart


def _normalised(values: np.ndarray) -> np.ndarray:
    centred = values - values.mean()
    return centred / max(math.sqrt(np.square(centred).sum()), 1e-9)


@dataclasses.dataclass
class _Track:
    """The recent past of one face: `box` is float [4], centre x, y and log width, height in pixels."""

    number: int
    box: np.ndarray
    velocity: np.ndarray
    time_s: float
    appearance: Appearance | None

    def expected(self, time_s: float) -> np.ndarray:
        """Returns the box predicted for now at constant velocity."""
        return self.box + self.velocity * min(time_s - self.time_s, _MAX_EXTRAPOLATION_S)

    def follow(self, box: np.ndarray, appearance: Appearance | None, time_s: float) -> None:
        """Updates the track with the box of a detection."""
        step_s = time_s - self.time_s
        if step_s > 0:
            share = 1 - math.exp(-step_s / _VELOCITY_MEMORY_S)
            self.velocity += share * ((box - self.box) / step_s - self.velocity)
            if appearance is not None and self.appearance is not None:
                appearance = self.appearance.towards(
                    appearance, 1 - math.exp(-step_s / _APPEARANCE_MEMORY_S)
                )
        self.box, self.time_s = box, time_s
        self.appearance = self.appearance if appearance is None else appearance


class Tracker:
    """Assigns track numbers to the faces of one video or camera; not thread-safe."""

    def __init__(self, *, max_gap_s: float = MAX_GAP_S):
        """Starts without tracks; a track ends after `max_gap_s` seconds without a detection."""
        self._max_gap_s = max_gap_s
        self._tracks: list[_Track] = []
        self._next = 1

    @property
    def alive(self) -> frozenset[int]:
        """The tracks that later detections may still belong to."""
        return frozenset(track.number for track in self._tracks)

    def update(
        self,
        detections: Sequence[Detection],
        time_s: float,
        appearances: Sequence[Appearance] | None = None,
    ) -> list[int]:
        """Returns the track number of each detection, in order; numbers start at 1 and are unique.

        Args:
            detections: the faces of the next frame.
            time_s: its time. An earlier time than the last one's ends all tracks.
            appearances: of each detection; they separate faces that cross or swap places at a cut
                and recover faces that jumped.
        """
        if appearances is not None and len(appearances) != len(detections):
            raise ValueError(f"{len(detections)} detections, {len(appearances)} appearances")
        self._tracks = [
            track for track in self._tracks if 0 <= time_s - track.time_s <= self._max_gap_s
        ]
        boxes = [_log_box(detection) for detection in detections]
        seen = [None] * len(boxes) if appearances is None else list(appearances)
        owners: dict[int, _Track] = {}
        taken = set[int]()
        for k, track in self._pairs(boxes, seen, time_s):
            if k not in owners and track.number not in taken:
                owners[k] = track
                taken.add(track.number)
                track.follow(boxes[k], seen[k], time_s)
        for k, (box, appearance) in enumerate(zip(boxes, seen, strict=True)):
            if k not in owners:
                owners[k] = _Track(self._next, box, np.zeros(4), time_s, appearance)
                self._tracks.append(owners[k])
                self._next += 1
        return [owners[k].number for k in range(len(boxes))]

    def _pairs(
        self, boxes: Sequence[np.ndarray], appearances: Sequence[Appearance | None], time_s: float
    ) -> list[tuple[int, _Track]]:
        """Returns the possible pairs of a detection and a track, best first."""
        if not boxes or not self._tracks:
            return []
        expected = np.stack([track.expected(time_s) for track in self._tracks])
        ages_s = np.array([time_s - track.time_s for track in self._tracks])
        affinity = _affinity(
            expected,
            np.stack(boxes),
            likeness(
                [track.appearance or _UNSEEN for track in self._tracks],
                [appearance or _UNSEEN for appearance in appearances],
            ),
            stranger=_STRANGER * np.exp(-ages_s[:, None] / _STRANGER_MEMORY_S),
        )
        order = np.argsort(-affinity, axis=None, kind="stable")
        pairs = (divmod(int(at), len(boxes)) for at in order if affinity.flat[at] > -math.inf)
        return [(k, self._tracks[row]) for row, k in pairs]


def _affinity(
    expected: np.ndarray, boxes: np.ndarray, alike: np.ndarray, *, stranger: np.ndarray
) -> np.ndarray:
    """Scores each pair of a track and a detection, float [M, N]; -inf for impossible pairs.

    Args:
        expected: predicted log boxes, float [M, 4].
        boxes: detected log boxes, float [N, 4].
        alike: `likeness`, float [M, N]; nan where an appearance is missing and only boxes count.
        stranger: likeness below which a detection is another person, float [M, 1].
    """
    overlap = _overlap(expected[:, None], boxes)
    near = overlap >= _MIN_OVERLAP
    size = np.exp((expected[:, None, 2:].sum(axis=-1) + boxes[:, 2:].sum(axis=-1)) / 4)
    jump = np.linalg.norm(boxes[:, :2] - expected[:, None, :2], axis=-1) / size
    stayed = np.where(alike >= stranger, overlap + alike, -np.inf)
    jumped = np.where((alike >= _ALIKE) & (jump <= _MAX_JUMP), alike - jump, -np.inf)
    unseen = np.where(near, overlap, -np.inf)
    return np.where(np.isnan(alike), unseen, np.where(near, stayed, jumped))


def _overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of log boxes, float [..., 4] each."""
    size_a, size_b = np.exp(a[..., 2:]), np.exp(b[..., 2:])
    low = np.maximum(a[..., :2] - size_a / 2, b[..., :2] - size_b / 2)
    high = np.minimum(a[..., :2] + size_a / 2, b[..., :2] + size_b / 2)
    both = np.maximum(high - low, 0).prod(axis=-1)
    return both / (size_a.prod(axis=-1) + size_b.prod(axis=-1) - both)


def _log_box(detection: Detection) -> np.ndarray:
    width, height = max(detection.width, 1.0), max(detection.height, 1.0)
    x, y = detection.x + detection.width / 2, detection.y + detection.height / 2
    return np.array([x, y, math.log(width), math.log(height)])


def smooth(
    before: np.ndarray | None,
    probabilities: np.ndarray,
    *,
    step_s: float,
    time_constant_s: float = TIME_CONSTANT_S,
) -> np.ndarray:
    """Returns exponentially smoothed probabilities.

    Args:
        before: the result for the track's last frame, None for its first.
        probabilities: float [..., 7] of this frame.
        step_s: seconds since the last frame.
        time_constant_s: time after which the result has covered 63 % of a change; 0: no smoothing.
    """
    if before is None or time_constant_s <= 0:
        return probabilities
    share = 1 - math.exp(-max(step_s, 0.0) / time_constant_s)
    return before + share * (probabilities - before)
