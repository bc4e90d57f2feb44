"""The two files of a recording: faces.csv as scoring writes it, and a video in which they are marked.

Both can be read up to the last second if the server is killed.
"""

from __future__ import annotations

import csv
import itertools
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fer_jax.expressions import EXPRESSIONS
from fer_jax.media.video_writer import VideoWriter, video_ending
from fer_jax.scoring.rows import COLUMNS, Row
from fer_jax.scoring.writers import csv_cells
from server.live.analysis import Analysis, TrackedFace

_FLUSH_S = 1.0
_BUFFER_BYTES = 1 << 20  # more than a second's rows: only whole lines reach the disk


class RecordingFiles:
    """Writes one recording; its images have one size."""

    def __init__(self, folder: Path, camera: str, *, first: Analysis, fps: float) -> None:
        """Creates the csv; the video is created with the first image.

        Args:
            folder: is made if it is not there, for its owner only.
            camera: its name, which the files' names begin with.
            first: the first frame; times count from it.
            fps: usual frames per second.

        Raises:
            OSError: they cannot be written.
        """
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.size = first.width, first.height
        self._camera, self._fps = camera, fps
        self._start_s, self._frames = first.captured_s, 0
        self._empty, self._flushed_s = True, time.monotonic()
        self._csv_path = _free_path(folder, f"{camera}-{_stamp(first.wall_s)}")
        self._csv_path.touch(0o600, exist_ok=False)
        self._csv = self._csv_path.open("w", encoding="utf-8", newline="", buffering=_BUFFER_BYTES)
        self._writer = csv.writer(self._csv, lineterminator="\n")
        self._video: VideoWriter | None = None
        self._writer.writerow(COLUMNS)

    @property
    def bytes(self) -> int:
        """How many bytes both files have by now."""
        paths = [self._csv_path, *([self._video.path] if self._video is not None else [])]
        return sum(os.path.getsize(path) for path in paths)

    def add(self, analysis: Analysis, image: np.ndarray | None, *, uncertain_below: float) -> None:
        """Writes a frame's faces and its image.

        Args:
            analysis: the next frame's; one without faces has no rows.
            image: uint8 [H, W, 3] RGB of `size`; None leaves the one before on the screen.
            uncertain_below: confidence below which a face is uncertain.

        Raises:
            OSError: the disk is full.
        """
        time_s = analysis.captured_s - self._start_s
        for number, face in enumerate(analysis.faces, start=1):
            row = _row(self._camera, self._frames, time_s, number, face, uncertain_below)
            self._writer.writerow(csv_cells(row.values(), safe=True))
            self._empty = False
        self._frames += 1
        if image is not None:
            self._write_image(image, time_s)
        if time.monotonic() - self._flushed_s >= _FLUSH_S:
            self._csv.flush()
            self._flushed_s = time.monotonic()

    def close(self) -> None:
        """Completes both files.

        Raises:
            OSError: the disk is full.
        """
        try:
            if self._empty:
                self._writer.writerow(csv_cells(Row(self._camera, "no_face").values(), safe=True))
            self._csv.close()
        finally:
            if self._video is not None:
                self._video.close()

    def _write_image(self, image: np.ndarray, time_s: float) -> None:
        if self._video is None:
            path = self._csv_path.with_suffix(video_ending())
            path.touch(0o600, exist_ok=False)
            self._video = VideoWriter(path, size=self.size, rate=self._fps, readable_always=True)
        self._video.write(image, time_s=time_s)


def _row(
    camera: str,
    frame: int,
    time_s: float,
    number: int,
    face: TrackedFace,
    uncertain_below: float,
) -> Row:
    """Returns a face as scoring would write it: one frame's own probabilities, and the smoothed ones."""
    best = int(face.raw.argmax())
    return Row(
        camera,
        "ok",
        frame=frame,
        time_s=round(time_s, 3),
        face=number,
        track=face.track,
        box=_rounded(face.box, 2),
        detection_score=round(face.detection_score, 6),
        expression=EXPRESSIONS[best],
        confidence=round(float(face.raw[best]), 6),
        uncertain=face.quality != "ok" or float(face.raw[best]) < uncertain_below,
        quality=face.quality,
        probabilities=_rounded(face.raw.tolist(), 6),
        smoothed=_rounded(face.probabilities.tolist(), 6),
        smooth_expression=EXPRESSIONS[int(face.probabilities.argmax())],
    )


def _rounded(values: Sequence[float], digits: int) -> Any:
    return tuple(round(float(value), digits) for value in values)


def _stamp(wall_s: float) -> str:
    """Returns local time as part of a file's name: 2026-11-22-16-30-05."""
    return time.strftime("%Y-%m-%d-%H-%M-%S", time.localtime(wall_s))


def _free_path(folder: Path, name: str) -> Path:
    """Returns the path of a csv that is not there yet, and neither is its video."""
    numbered = (f"{name}{'' if n == 1 else f'-{n}'}" for n in itertools.count(1))
    there = {path.stem for path in folder.iterdir()}
    return folder / f"{next(stem for stem in numbered if stem not in there)}.csv"
