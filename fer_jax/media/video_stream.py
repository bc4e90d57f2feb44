"""The decoded frames of an open video file, in display order: damage is skipped and counted."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterator
from fractions import Fraction
from typing import BinaryIO

import av
import av.error
from av.video.frame import VideoFrame as RawFrame

from fer_jax.media.video_clock import Clock
from fer_jax.media.video_container import (
    OPENABLE_PIXELS,
    BadVideoError,
    open_container,
    pixel_aspect,
    video_stream,
)
from fer_jax.media.video_losses import AviIndex, Gaps
from fer_jax.media.video_span import EMPTY, ONE_FRAME_A_PACKET, VideoSpan, find_span

_FALLBACK_FPS = 25.0  # only for streams without time stamps

# A demuxer that fails this often in a row will not find the rest.
_MOST_FAILURES = 100


class FrameStream:
    """Iterates once over the frames of a video file.

    Attributes:
        width, height: pixels as they are stored.
        fps: nominal frames a second.
        frame_count: estimated number of frames, 0 if unknown. Containers estimate, and count frames
            that an edit list hides: use it only for progress.
        claimed: how many frames the container claims, 0 if unknown.
    """

    def __init__(
        self,
        file: BinaryIO,
        *,
        max_pixels: int,
        share: tuple[int, int] = (0, 1),
        passed: Callable[[], None] = lambda: None,
    ) -> None:
        """Opens the video.

        Args:
            file: at its beginning; it stays the caller's to close.
            max_pixels: the most that a frame may have; later frames with more count as lost.
            share: number and count of the shares that the video is divided into, by time.
            passed: called for each packet that is read to find a share, and not decoded.

        Raises:
            BadVideoError: not a video, or its frames are too large.
        """
        # Limit while opening: enough to learn the size of frames that are then refused.
        limit = max(2 * max_pixels, OPENABLE_PIXELS)
        self._passed = passed
        self.span = _span(file, limit, *share, passed)
        self._container = container = open_container(file, max_pixels=limit)
        try:
            self._stream = video_stream(container)
            self._context = self._stream.codec_context
            self._context.thread_type = "AUTO"
            # Of the coded size, which is slightly larger than the displayed one.
            self._context.options = {"max_pixels": str(2 * max_pixels)}
            self._describe()
            if self.width * self.height > max_pixels:
                raise BadVideoError(
                    f"its frames are {self.width} x {self.height} pixels, "
                    f"more than {max_pixels / 1e6:g} megapixels"
                )
        except BaseException:
            self._container.close()
            raise
        self._sent = self._given = self._failed = 0
        self._interlaced = False
        self._frames = self._decoded()

    def _describe(self) -> None:
        stream = self._stream
        self.width, self.height = self._context.width, self._context.height
        rate = float(stream.average_rate or stream.guessed_rate or 0)
        self.fps = rate if 0 < rate < 1000 else _FALLBACK_FPS
        length_s = 0.0
        if stream.duration is not None and stream.time_base is not None:
            length_s = float(stream.duration * stream.time_base)
        elif self._container.duration is not None:
            length_s = self._container.duration / av.time_base
        self.claimed = stream.frames
        self.frame_count = self.claimed or max(0, round(length_s * self.fps))
        self._clock = Clock(stream, step_s=1 / self.fps)
        self._gaps, self._length_s = Gaps(1 / self.fps), length_s
        whole_avi = self.span is None and self._container.format.name == "avi"
        self._index = AviIndex(stream) if whole_avi else None

    @property
    def missing(self) -> int:
        """How many frames are missing from a constant rate, by their times; final after the iteration.

        0 for a share of a video.
        """
        return 0 if self.span is not None else self._gaps.missing(length_s=self._length_s)

    @property
    def lost(self) -> int:
        """How many frames could not be decoded; final after the iteration."""
        unread = 0 if self._index is None else self._index.missing
        if self._context.name in ONE_FRAME_A_PACKET and not self._interlaced:
            return unread + max(self._failed, self._sent - self._given)
        return unread + self._failed

    def __iter__(self) -> Iterator[tuple[float, RawFrame]]:
        """Yields each frame's time in seconds from the video's start, and the frame."""
        for frame in self._frames:
            # A frame coded as two fields takes two packets.
            self._interlaced = self._interlaced or frame.interlaced_frame
            time_s = self._clock.time_of(frame.pts)
            self._gaps.add(time_s)
            yield time_s, frame

    def aspect_of(self, frame: RawFrame) -> Fraction:
        """Returns the width of a frame's pixels by their height; 1 if unspecified."""
        return pixel_aspect(self._stream, frame, first_size=(self.width, self.height))

    def count_lost(self) -> None:
        """Counts a decoded frame that cannot be displayed."""
        self._given -= 1
        self._failed += 1

    def close(self) -> None:
        """Frees the decoder; the iteration ends."""
        self._frames.close()
        self._container.close()

    def _decoded(self) -> Generator[RawFrame]:
        for packet in self._packets():
            counts = self._holds(None if packet is None else packet.pts)
            if packet is not None and counts:
                self._sent += not packet.is_discard  # frames hidden by an edit list are not lost
            try:
                frames = self._context.decode(packet)
            except av.error.MemoryError:
                raise
            except av.error.FFmpegError:
                self._failed += counts
                continue
            for frame in frames:
                if self.span is not None and self.span.is_over(frame.pts):
                    return
                if self._holds(frame.pts):
                    self._given += 1
                    yield frame

    def _holds(self, stamp: int | None) -> bool:
        return self.span is None or self.span.holds(stamp)

    def _packets(self) -> Iterator[av.Packet | None]:
        """Yields the stream's packets and then None, which flushes the decoder."""
        if self.span is EMPTY:
            return
        packets = self._container.demux(self._stream)
        start = None if self.span is None else self.span.start
        for failures in itertools.count():
            try:
                for packet in packets:
                    if start is not None and packet.pts != start:
                        self._passed()
                        continue
                    start = None
                    # An empty packet repeats the previous frame; a decoder would treat it as the end.
                    if packet.size:
                        if self._index is not None:
                            self._index.correct(packet)
                        yield packet
                        failures = 0
                break
            except IndexError:
                break  # PyAV's, at the end of a file to which a track was added late
            except av.error.MemoryError:
                raise
            except av.error.FFmpegError:
                if failures == _MOST_FAILURES:
                    break
                packets = self._container.demux(self._stream)
        yield None


def _span(
    file: BinaryIO, max_pixels: int, share: int, shares: int, passed: Callable[[], None]
) -> VideoSpan | None:
    """Returns a share of the video, and the file to its beginning; None for all of it."""
    if shares == 1:
        return None
    with open_container(file, max_pixels=max_pixels) as container:
        stream = video_stream(container)
        span = find_span(container, stream, share=share, shares=shares, passed=passed)
    file.seek(0)
    return span
