"""Collects the content of a summary from rows: totals, some faces per expression, tracks over time.

It works row by row in bounded memory, whatever the number of files or the length of a video: time is
divided into a fixed number of bins that grow with the video.
"""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np

from fer_jax.expressions import EXPRESSIONS
from fer_jax.scoring.gallery import Gallery, Portrait
from fer_jax.scoring.rows import Row, Status

MOST_VIDEOS = 40
MOST_TRACKS = 12  # of one video
MOST_REASONS = 50
_MOST_BINS = 160
_FIRST_BIN_S = 0.1

# Tracks of one video kept while it is read; the shortest are dropped first.
_TRACKS_IN_MEMORY = 300


@dataclasses.dataclass
class Track:
    """One face over time.

    Attributes:
        number: of the track.
        start_s, end_s: first and last appearance.
        frames: how many it appears in.
        sums: by time bin, float [8]: the summed smoothed probabilities, then the number of frames.
        portrait: the face with the highest detection score.
    """

    number: int
    start_s: float
    end_s: float
    frames: int
    sums: dict[int, np.ndarray]
    portrait: Portrait

    def mean(self) -> np.ndarray:
        """Returns the mean probabilities, float [7]."""
        total = np.sum(list(self.sums.values()), axis=0)
        return total[:-1] / total[-1]


class Timeline:
    """One video's tracks.

    Attributes:
        path: the video.
        end_s: time of the last face.
        bin_s: seconds per bin; doubles when there are too many bins.
        tracks: by track number.
        left_out: dropped tracks.
    """

    def __init__(self, path: str) -> None:
        """Starts without a track."""
        self.path, self.end_s, self.bin_s = path, 0.0, _FIRST_BIN_S
        self.tracks: dict[int, Track] = {}
        self.left_out = 0
        self._step_s = float("inf")  # the shortest interval between frames

    def add(self, row: Row, image: str | None) -> None:
        """Adds one face of the video, in order of time."""
        if row.track is None or row.time_s is None or row.smoothed is None:
            return
        if self.tracks and row.time_s > self.end_s:
            self._step_s = min(self._step_s, row.time_s - self.end_s)
        self.end_s = max(self.end_s, row.time_s)
        while self.end_s / self.bin_s >= _MOST_BINS:
            self._widen()
        track = self.tracks.get(row.track)
        if track is None:
            portrait = Portrait(row, image)
            track = Track(row.track, row.time_s, row.time_s, 0, {}, portrait)
            self.tracks[row.track] = track
            self._drop_short()
        track.end_s = max(track.end_s, row.time_s)
        track.frames += 1
        into = track.sums.setdefault(int(row.time_s / self.bin_s), np.zeros(len(EXPRESSIONS) + 1))
        into += (*row.smoothed, 1.0)
        if image and (row.detection_score or 0) > (track.portrait.row.detection_score or 0):
            track.portrait = Portrait(row, image)

    def longest(self) -> list[Track]:
        """Returns the tracks to show, by start time; bins between their frames are not empty."""
        while self.bin_s < self._step_s < float("inf"):
            self._widen()
        tracks = sorted(self.tracks.values(), key=lambda track: -track.frames)[:MOST_TRACKS]
        return sorted(tracks, key=lambda track: (track.start_s, track.number))

    def _widen(self) -> None:
        self.bin_s *= 2
        for track in self.tracks.values():
            sums: dict[int, np.ndarray] = {}
            for index, values in track.sums.items():
                sums[index // 2] = sums.get(index // 2, 0) + values
            track.sums = sums

    def _drop_short(self) -> None:
        if len(self.tracks) > _TRACKS_IN_MEMORY:
            newest = max(self.tracks)
            del self.tracks[
                min(self.tracks, key=lambda number: (number == newest, self.tracks[number].frames))
            ]
            self.left_out += 1


class Summary:
    """Collects all rows of an output, in order.

    Attributes:
        inputs: count by status; a partly readable one counts as unreadable.
        faces: count by expression.
        uncertain: how many faces are uncertain.
        reasons: path and reason of the first unreadable inputs.
        notes: path and text of the first notes, on videos that lost frames.
        more_notes: how many further notes there are.
        timelines: of the first videos with faces.
        more_videos: how many videos have no timeline.
        gallery: some of the faces.
    """

    def __init__(self) -> None:
        """Starts before the first row."""
        self.inputs: Counter[str] = Counter()
        self.faces: Counter[str] = Counter()
        self.uncertain = 0
        self.reasons: list[tuple[str, str]] = []
        self.notes: list[tuple[str, str]] = []
        self.more_notes = 0
        self.timelines: list[Timeline] = []
        self.more_videos = 0
        self.gallery = Gallery()
        self._last: Row | None = None
        self._status: Status = "ok"

    def add(self, row: Row, image: str | None = None) -> None:
        """Adds the next row, and a base64 JPEG of its face if one was kept."""
        if row.status == "note":
            if len(self.notes) < MOST_REASONS:
                self.notes.append((row.path, row.error or ""))
            else:
                self.more_notes += 1
            return
        new = self._begins_input(row)
        if new:
            self._status = row.status
            self.inputs[row.status] += 1
        elif row.status == "unreadable" and self._status != "unreadable":
            self.inputs[self._status] -= 1
            self.inputs["unreadable"] += 1
            self._status = "unreadable"
        self._last = row
        if row.status == "unreadable" and len(self.reasons) < MOST_REASONS:
            self.reasons.append((row.path, row.error or ""))
        if row.expression is not None:
            self.faces[row.expression] += 1
            self.uncertain += bool(row.uncertain)
            self.gallery.offer(row, image)
        if row.track is not None:
            self._follow(row, image, new=new)

    def _begins_input(self, row: Row) -> bool:
        """Returns whether a row starts a new input, even if a path was named twice."""
        last = self._last
        if last is None or last.path != row.path or row.status == "no_face":
            return True
        if row.status == "unreadable" or last.status != "ok":
            return last.frame is None and last.status != "ok"
        return (row.frame or 0, row.face or 0) <= (last.frame or 0, last.face or 0)

    def _follow(self, row: Row, image: str | None, *, new: bool) -> None:
        if new or not self.timelines or self.timelines[-1].path != row.path:
            if len(self.timelines) >= MOST_VIDEOS:
                self.more_videos += new
                return
            self.timelines.append(Timeline(row.path))
        self.timelines[-1].add(row, image)
