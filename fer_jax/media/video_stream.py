"""The decoded frames of an open video file, in display order: damage is skipped and counted.

Uses FFmpeg through PyAV. It gets only the open file: no name, no other file, no network.
"""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Callable, Generator, Iterator
from fractions import Fraction
from typing import BinaryIO

import av
import av.error
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame as RawFrame
from av.video.stream import VideoStream

from fer_jax.media.video_header import FORMATS, is_video
from fer_jax.media.video_losses import AviIndex, Gaps
from fer_jax.media.video_span import EMPTY, VideoSpan, find_span

_HEAD_BYTES = 4096
_READ_BYTES = 1 << 18
_MOST_PIXELS = 1 << 27
_FALLBACK_FPS = 25.0  # only for streams without time stamps

# FFmpeg opens playlists that point elsewhere; these are the formats that `is_video` accepts.
_CONTAINERS = "mov,matroska,avi,mpegts,mpeg,mpegvideo,ogg,flv,asf"

# A demuxer that fails this often in a row will not find the rest.
_MOST_FAILURES = 100

# In these codecs each packet is one frame, so that packets without a frame are lost frames. In the
# others a packet may hold two frames, or one that is never shown.
_ONE_FRAME_A_PACKET = frozenset({"h264", "hevc", "mjpeg", "mpeg1video", "mpeg2video", "theora"})


class BadVideoError(ValueError):
    """A file that cannot be read as a video; the message says why, without the file's name."""


class _Seekable:
    """A file that handles FFmpeg's invalid seeks in damaged files as FFmpeg expects."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.read, self.tell = file.read, file.tell

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Returns the new position, or a negative error code, because an exception would be printed."""
        try:
            return self._file.seek(offset, whence)
        except (ValueError, OSError):
            return -errno.EINVAL


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
        limit = max(2 * max_pixels, _MOST_PIXELS)
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
        if self._context.name in _ONE_FRAME_A_PACKET and not self._interlaced:
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
        """Returns the width of a frame's pixels by their height; 1 where nothing is said."""
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
        plain = stream.codec_context.name in _ONE_FRAME_A_PACKET
        if plain:
            span = find_span(container, stream, share=share, shares=shares, passed=passed)
        else:
            span = EMPTY if share else None
    file.seek(0)
    return span


def pixel_aspect(stream: VideoStream, frame: RawFrame, *, first_size: tuple[int, int]) -> Fraction:
    """Returns the width of a frame's pixels by their height; 1 where nothing is said.

    After a change of size the codec is right, because the container describes the first frame.
    """
    if (frame.width, frame.height) == first_size:
        return stream.sample_aspect_ratio or Fraction(1)
    return stream.codec_context.sample_aspect_ratio or Fraction(1)


class Clock:
    """Converts a stream's time stamps to increasing seconds from its start."""

    def __init__(self, stream: VideoStream, *, step_s: float) -> None:
        """Starts before the first frame; `step_s` is the nominal time between two frames."""
        self._unit_s = float(stream.time_base or 0)
        self._zero_s = None if stream.start_time is None else stream.start_time * self._unit_s
        self._step_s = step_s
        self._last_s: float | None = None

    def time_of(self, stamp: int | None) -> float:
        """Returns a frame's time; a missing, repeated or backward stamp adds one nominal frame."""
        if stamp is None:
            self._last_s = 0.0 if self._last_s is None else self._last_s + self._step_s
            return self._last_s
        stamp_s = stamp * self._unit_s
        if self._zero_s is None:
            self._zero_s = stamp_s
        if self._last_s is None:
            self._last_s = max(0.0, stamp_s - self._zero_s)
        elif stamp_s - self._zero_s > self._last_s:
            self._last_s = stamp_s - self._zero_s
        else:
            if stamp_s - self._zero_s < self._last_s - 1.0:  # two recordings, one after the other
                self._zero_s = stamp_s - self._last_s - self._step_s
            self._last_s += self._step_s
        return self._last_s


def open_container(file: BinaryIO, *, max_pixels: int = _MOST_PIXELS) -> InputContainer:
    """Opens a video's container; its streams are not decoded yet.

    Args:
        file: at its beginning; it stays the caller's to close.
        max_pixels: the most that a frame may have.

    Raises:
        BadVideoError: not a video.
    """
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    if not is_video(head):
        raise BadVideoError(
            f"the file is not a video; {FORMATS} are read" if head else "the file is empty"
        )
    options = {
        "format_whitelist": _CONTAINERS,
        "protocol_whitelist": "none",
        "max_pixels": str(max_pixels),
    }
    try:
        # The file's name would only appear in messages; metadata may be any bytes.
        container = av.open(
            _Seekable(file), options=options, metadata_errors="replace", buffer_size=_READ_BYTES
        )
    except av.error.FFmpegError:
        raise BadVideoError("the video has no frame that can be read") from None
    assert isinstance(container, InputContainer)
    return container


def video_stream(container: InputContainer) -> VideoStream:
    """Returns the default video track, else the first one; a cover image is not a track.

    Raises:
        BadVideoError: there is no track.
    """
    covers = Disposition.attached_pic
    tracks = [track for track in container.streams.video if not track.disposition & covers]
    if not tracks:
        cover = " and a cover image" if container.streams.video else ""
        what = f"only sound{cover}" if container.streams.audio else "no video track"
        raise BadVideoError(f"the file holds {what}; a video is expected")
    chosen = [track for track in tracks if track.disposition & Disposition.default]
    track = (chosen or tracks)[0]
    if track.codec_context is None:
        raise BadVideoError("the video's codec is not supported; convert it, for example to H.264")
    return track
