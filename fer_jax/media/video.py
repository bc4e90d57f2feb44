"""Reads a video or an animation by frames: sampled by times, one in memory, losses reported.

It decodes in this process, which a fault of the decoder may crash. A
`fer_jax.media.video_decoder.VideoDecoder` reads the same frames in a separate process.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

import av.error
import numpy as np

from fer_jax.media.animation import HEAD_BYTES, AnimationStream, is_animation_head
from fer_jax.media.closing import ClosedAtExit
from fer_jax.media.images import MediaError, open_regular
from fer_jax.media.video_container import BadVideoError
from fer_jax.media.video_geometry import Converter, shape_of
from fer_jax.media.video_header import is_cut, lost_blocks
from fer_jax.media.video_span import EMPTY
from fer_jax.media.video_stream import FrameStream, RawFrame

MAX_FRAME_PIXELS = 36_000_000  # 8K is 33 megapixels

# Time stamps are rounded to the container's clock (1 ms in Matroska), so a frame due at 0.1 s may claim
# 0.0999 s.
_CLOCK_S = 1.5e-3


@dataclasses.dataclass(frozen=True)
class VideoFrame:
    """One frame of a video.

    Attributes:
        index: its number among the frames that can be decoded, from 0, sampled or not.
        time_s: its time stamp in seconds from the video's start.
        image: uint8 [H, W, 3] RGB as displayed: upright, square pixels. Its size may change between
            frames.
    """

    index: int
    time_s: float
    image: np.ndarray


class Video(Protocol):
    """An open video; iterates once over its sampled frames.

    Attributes:
        width, height: pixels of its first frame as displayed.
        fps: nominal frames per second; sampling uses the frames' time stamps.
        frame_count: estimated number of frames, 0 if unknown.
        ended_early: after the iteration, where a truncated file ended; otherwise None.
        note: after the iteration, what else was lost, in one line; None if nothing was.
    """

    width: int
    height: int
    fps: float
    frame_count: int
    ended_early: str | None
    note: str | None

    def __iter__(self) -> Iterator[VideoFrame]:
        """Gives the sampled frames; a second iteration gives none."""
        ...

    def close(self) -> None:
        """Gives the file and the decoder back; may be called twice."""
        ...


def _new(shape: tuple[int, int, int]) -> np.ndarray:
    return np.empty(shape, np.uint8)


class SampledFrames:
    """The sampled frames of an open file; see `Video`."""

    def __init__(
        self,
        file: BinaryIO,
        *,
        every: int,
        fps: float | None,
        max_pixels: int,
        share: tuple[int, int] = (0, 1),
        allocate: Callable[[tuple[int, int, int]], np.ndarray] = _new,
        decoded: Callable[[], None] = lambda: None,
    ) -> None:
        """Opens the video and decodes its first frame.

        Args:
            file: at its beginning; it stays the caller's to close.
            every, fps, max_pixels: as for `VideoReader`.
            share: number and count of the shares that the video is divided into, by time; it may be
                empty, unless it is the first. The last one that is not empty reports `ended_early`.
            allocate: gives the memory for each image.
            decoded: called after each frame, sampled or not, and each packet on the way to a share.

        Raises:
            BadVideoError: not a video, too large, or without a frame.
        """
        if every < 1 or (fps is not None and not fps > 0):
            raise ValueError(f"every must be 1 or more and fps positive, got {every} and {fps}")
        self.ended_early: str | None = None
        self.note: str | None = None
        self._every, self._period = every, 1 / fps if fps else 0.0
        self._max_pixels, self._allocate, self._decoded = max_pixels, allocate, decoded
        self._converter = Converter()
        self._stream: AnimationStream | FrameStream
        self._file, cut = file, is_cut(file)
        shortened = "; the file is cut short" if cut else ""
        try:
            head = file.read(HEAD_BYTES)
            file.seek(0)
            if is_animation_head(head):
                self._stream = AnimationStream(file, max_pixels=max_pixels, share=share)
            else:
                self._stream = FrameStream(file, max_pixels=max_pixels, share=share, passed=decoded)
        except BadVideoError as error:
            raise BadVideoError(f"{error}{shortened}") from None
        span = self._stream.span
        self._cut = cut and (span is None or (span is not EMPTY and span.end is None))
        self.fps, self.frame_count = self._stream.fps, self._stream.frame_count
        self._frames = iter(self._stream)
        self._next = next(self._frames, None)
        self._first, self._due_s = self._start()
        if self._next is None and (share[0] or self._stream.span is EMPTY):
            self.width = self.height = 0
            return
        if self._next is None:
            self._stream.close()
            raise BadVideoError(f"the video has no frame that can be read{shortened}")
        first = self._next[1]
        aspect = self._stream.aspect_of(first)
        shape = shape_of(first.width, first.height, aspect=aspect, rotation=first.rotation)
        self.height, self.width = shape.shown

    def __iter__(self) -> Iterator[VideoFrame]:
        """Gives the sampled frames; a second iteration gives none."""
        index, time_s, due = self._first, 0.0, self._due_s
        while self._next is not None:
            time_s, raw = self._next
            if self._is_due(index, time_s, due):
                image = self._image(raw)
                due = self._next_due(time_s, due)
                if image is not None:
                    yield VideoFrame(index, time_s, image)
            self._next = next(self._frames, None)
            self._decoded()
            index += 1
        if index > self._first:
            self._conclude(index, time_s)
        self.close()

    def _is_due(self, index: int, time_s: float, due: float) -> bool:
        return index % self._every == 0 and time_s + _CLOCK_S >= due

    def _next_due(self, time_s: float, due: float) -> float:
        # After a gap the next frame is due one period later, not all the missed ones at once.
        return due + self._period if time_s < due + self._period else time_s + self._period

    def _start(self) -> tuple[int, float]:
        """Returns the number of the first frame, and the time from which on one is due."""
        if self._stream.span is None:
            return 0, 0.0
        due = 0.0
        for index, time_s in enumerate(self._stream.span.before_s):
            if self._is_due(index, time_s, due):
                due = self._next_due(time_s, due)
        return self._stream.span.first, due

    def _image(self, raw: RawFrame) -> np.ndarray | None:
        aspect = self._stream.aspect_of(raw)
        shape = shape_of(raw.width, raw.height, aspect=aspect, rotation=raw.rotation)
        if shape.width * shape.height <= self._max_pixels:
            try:
                return self._converter.rgb(raw, shape, self._allocate)
            except av.error.FFmpegError:
                self._stream.count_lost()
                return None
        self._stream.count_lost()
        return None

    def _conclude(self, frames: int, time_s: float) -> None:
        lost, claimed = self._stream.lost, self._stream.claimed
        missing = self._stream.missing
        if missing > lost and not self._cut and lost_blocks(self._file):
            lost = missing
        if self._cut:
            of = f" of {claimed}" if claimed >= frames else ""
            self.ended_early = (
                f"the video is cut short: it ends after frame {frames}{of}, at {time_s:.2f} s"
            )
        if lost:
            self.note = f"{lost} of {frames - self._first + lost} frames could not be decoded"

    def close(self) -> None:
        """Frees the decoder."""
        self._next = None
        self._stream.close()


class VideoReader(ClosedAtExit):
    """Reads a video file in this process; the end of it, or of the context, closes the file."""

    def __init__(
        self,
        path: Path,
        *,
        every: int = 1,
        fps: float | None = None,
        max_pixels: int = MAX_FRAME_PIXELS,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        """Opens the video and decodes its first frame.

        Args:
            path: any name the system allows, also one that is not UTF-8.
            every: gives each `every`-th frame only.
            fps: gives at most this many frames a second of video, by their time stamps.
            max_pixels: the most that a frame may have.
            share: see `SampledFrames`.

        Raises:
            MediaError: missing, unreadable, not a video, too large, or without a frame.
        """
        self.path = path
        self.ended_early: str | None = None
        self.note: str | None = None
        self._file = open_regular(path)
        try:
            self._frames = SampledFrames(
                self._file, every=every, fps=fps, max_pixels=max_pixels, share=share
            )
        except BadVideoError as error:
            self._file.close()
            raise MediaError(path, str(error)) from None
        except BaseException:
            self._file.close()
            raise
        self.width, self.height = self._frames.width, self._frames.height
        self.fps, self.frame_count = self._frames.fps, self._frames.frame_count

    def __iter__(self) -> Iterator[VideoFrame]:
        """Gives the sampled frames; a second iteration gives none."""
        yield from self._frames
        self.ended_early, self.note = self._frames.ended_early, self._frames.note
        self.close()

    def close(self) -> None:
        """Gives the file and the decoder back; may be called twice."""
        self._frames.close()
        self._file.close()
