"""Reads a video frame by frame: sampled by time stamps, one frame in memory, honest about its end."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import cv2
import numpy as np

from fer_jax.media.images import MediaError, open_regular
from fer_jax.media.video_header import FORMATS, is_cut, is_video

MAX_FRAME_PIXELS = 36_000_000  # 8K is 33 megapixels

_HEAD_BYTES = 4096
_FALLBACK_FPS = 25.0  # only to number the frames of a stream that has no time stamps

# Time stamps are rounded to the container's clock (1 ms in Matroska), so that a frame that is due at
# 0.1 s may claim 0.0999 s.
_CLOCK_S = 1.5e-3

# Containers round the number of frames they claim; fewer than this share of them is a cut video.
_WHOLE = 0.99


@dataclasses.dataclass(frozen=True)
class VideoFrame:
    """One frame of a video.

    Attributes:
        index: its number in the video, from 0, whatever was left out before it.
        time_s: its time stamp in seconds from the video's start.
        image: uint8 [H, W, 3] RGB, upright.
    """

    index: int
    time_s: float
    image: np.ndarray


class VideoReader:
    """Iterates once over a video's frames; the end of it, or of the context, closes the file.

    Attributes:
        width, height: pixels of an upright frame.
        fps: nominal frames a second; the frames' own time stamps are what counts.
        frame_count: how many frames the container claims, 0 where it does not say.
        ended_early: after the iteration, why the video is shorter than it claims; None if it is not.
    """

    def __init__(
        self,
        path: Path,
        *,
        every: int = 1,
        fps: float | None = None,
        max_pixels: int = MAX_FRAME_PIXELS,
    ):
        """Opens the video and looks at its first frame.

        Args:
            path: any name the system allows, also one that is not UTF-8.
            every: gives each `every`-th frame only.
            fps: gives at most this many frames a second of video, by their time stamps.
            max_pixels: the most that a frame may have.

        Raises:
            MediaError: missing, not readable, no video, too large, or without a frame.
        """
        if every < 1 or (fps is not None and not fps > 0):
            raise ValueError(f"every must be 1 or more and fps positive, got {every} and {fps}")
        self.path = path
        self.ended_early: str | None = None
        self._every, self._period = every, 1 / fps if fps else 0.0
        self._file = open_regular(path)
        try:
            self._open(max_pixels)
        except BaseException:
            self._file.close()
            raise

    def _open(self, max_pixels: int) -> None:
        head = self._file.read(_HEAD_BYTES)
        self._file.seek(0)
        if not is_video(head):
            reason = f"the file is not a video; {FORMATS} are read" if head else "the file is empty"
            raise MediaError(self.path, reason)
        self._cut = is_cut(self._file)
        # Through an open file: a name that is not UTF-8, or reads like an address, works too.
        self._capture = cv2.VideoCapture(cast(Any, self._file), cv2.CAP_FFMPEG, [])
        self.width = int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        self.height = int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        self.frame_count = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = rate if 0 < rate < 1000 else _FALLBACK_FPS
        if self.width * self.height > max_pixels:
            raise MediaError(
                self.path,
                f"its frames are {self.width} x {self.height} pixels, "
                f"more than {max_pixels / 1e6:g} megapixels",
            )
        self._grabbed = self._capture.grab()
        if not self._grabbed:
            cut = "; the file is cut short" if self._cut else ""
            raise MediaError(self.path, f"the video has no frame that can be read{cut}")

    def __iter__(self) -> Iterator[VideoFrame]:
        """Gives the sampled frames; a second iteration gives none."""
        index, time_s, due = 0, -1.0, 0.0
        while self._grabbed:
            time_s = self._time_after(time_s)
            if index % self._every == 0 and time_s + _CLOCK_S >= due:
                ok, image = self._capture.retrieve()
                if not ok:
                    break
                # After a gap the next frame is due one period later, not all the missed ones at once.
                due = due + self._period if time_s < due + self._period else time_s + self._period
                cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image)
                yield VideoFrame(index, time_s, np.asarray(image, np.uint8))
            self._grabbed = self._capture.grab()
            index += 1
        self.ended_early = self._why_early(index, time_s)
        self.close()

    def _time_after(self, before_s: float) -> float:
        """The grabbed frame's time stamp; a missing or repeated one is a nominal frame later."""
        time_s = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        if before_s < 0:
            return max(time_s, 0.0)
        return time_s if time_s > before_s else before_s + 1 / self.fps

    def _why_early(self, frames: int, time_s: float) -> str | None:
        missing = frames < self.frame_count * _WHOLE and frames < self.frame_count - 1
        if not (self._cut or missing):
            return None
        claimed = f" of {self.frame_count}" if self.frame_count else ""
        return f"the video is cut short: it ends after frame {frames}{claimed}, at {time_s:.2f} s"

    def close(self) -> None:
        """Gives the file and the decoder back."""
        self._grabbed = False
        self._capture.release()
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
