"""A network camera or video file, RTSP or HTTP, through FFmpeg: time limits and reasons for failures.

A damaged packet or image costs only that frame; the connection stays. The address may hold a password:
messages quote only the masked address.
"""

from __future__ import annotations

import time
from collections.abc import Generator

import av
import av.error
import cv2
import numpy as np
from av.codec.context import Flags
from av.container import Container, InputContainer
from av.video.frame import VideoFrame as RawFrame

from fer_jax.media.video_clock import Clock
from fer_jax.media.video_container import pixel_aspect
from fer_jax.media.video_geometry import Converter, shape_of
from server.cameras.ffmpeg_limits import ffmpeg_limits, redirected
from server.cameras.fit import fit
from server.cameras.reader import SourceError
from server.cameras.refusals import MOST_REDIRECTS, leads_away, redirection, redirects_on
from server.cameras.wire import Order

_OPEN_S = 10.0
_READ_S = 10.0  # less than the server's patience, so that FFmpeg can report its reason first
_FALLBACK_FPS = 25.0
_MOST_FAILURES = (
    1000  # reads in a row; after damage FFmpeg searches for the next image line by line
)

# Half a megabyte suffices for FFmpeg to detect the format; its default waits for 5 s of video.
_OPTIONS = {"probesize": "500000", "analyzeduration": "1000000"}
# TCP, because a lost UDP packet smears faces for seconds; no buffering of the packets probed on
# opening, which delays images. A video over HTTP would lose its beginning that way.
_RTSP_OPTIONS = {"rtsp_transport": "tcp", "fflags": "nobuffer"}


class NetworkReader:
    """An open network camera, or a video with an end, which is played in a loop; see `Reader`."""

    def __init__(self, order: Order) -> None:
        """Connects.

        Raises:
            SourceError: no answer, a password is required, or it sends no video.
        """
        cv2.setNumThreads(1)
        self._order, self._where = order, order.where
        self._converter = Converter()
        self._frame: RawFrame | None = None
        self._rounds_s = self._time_s = 0.0
        self._connect()
        rate = float(self._stream.average_rate or self._stream.guessed_rate or 0)
        self.fps = rate if 0 < rate <= 240 else 0.0
        # Only a file has a length; RTSP servers may claim one for what is live.
        self.live = not (
            order.where.lower().startswith("http") and (self._container.duration or 0) > 0
        )

    def _connect(self) -> None:
        for _ in range(1 + MOST_REDIRECTS):
            try:
                container = self._open()
                break
            except (av.error.FFmpegError, OSError):
                self._where = self._next_address()
        else:
            raise redirects_on(self._order)
        assert isinstance(container, InputContainer)
        if not container.streams.video or container.streams.video[0].codec_context is None:
            container.close()
            raise SourceError("reconnecting", f"{self._order.masked} sends no video")
        self._container, self._stream = container, container.streams.video[0]
        self._context = self._stream.codec_context
        self._context.thread_count = 1  # frame threads delay images too
        self._context.flags |= Flags.low_delay
        self._size = self._context.width, self._context.height
        self._clock = Clock(self._stream, step_s=1 / _FALLBACK_FPS)
        self._frames = self._decoded()

    def _open(self) -> Container:
        rtsp = self._where.lower().startswith("rtsp")
        return av.open(
            self._where,
            options={
                **_OPTIONS,
                **(_RTSP_OPTIONS if rtsp else {}),
                **ffmpeg_limits(self._where),
            },
            metadata_errors="replace",
            timeout=(_OPEN_S, _READ_S),
        )

    def _next_address(self) -> str:
        """Returns where the camera redirects to after a failure.

        Raises:
            SourceError: nowhere, or to another machine.
        """
        address = redirected(self._where, redirection(self._order, self._where))
        if address is None:
            raise leads_away(self._order)
        return address

    def grab(self) -> float:
        """Waits for the next image."""
        self._frame = next(self._frames, None)
        if self._frame is None:
            if self.live:
                raise SourceError("reconnecting", f"{self._order.masked} stopped sending")
            self._rounds_s = self._time_s + 1 / (self.fps or _FALLBACK_FPS)
            self.close()
            self._connect()
            self._frame = next(self._frames, None)
            if self._frame is None:
                raise SourceError("missing", f"{self._order.masked} sends no video")
        if self.live:
            return time.monotonic()
        self._time_s = self._rounds_s + self._clock.time_of(self._frame.pts)
        return self._time_s

    def image(self) -> np.ndarray | None:
        """Returns the grabbed image as displayed; None if it cannot be converted."""
        if (frame := self._frame) is None:
            return None
        aspect = pixel_aspect(self._stream, frame, first_size=self._size)
        shape = shape_of(frame.width, frame.height, aspect=aspect, rotation=frame.rotation)
        try:
            return fit(self._converter.rgb(frame, shape, lambda size: np.empty(size, np.uint8)))
        except av.error.FFmpegError:
            return None

    def close(self) -> None:
        """Closes the connection."""
        self._frames.close()
        self._container.close()

    def _decoded(self) -> Generator[RawFrame]:
        """Yields the frames that can be decoded, until the stream ends or pauses for too long."""
        packets, failures = self._container.demux(self._stream), 0
        while failures < _MOST_FAILURES:
            try:
                packet = next(packets, None)
            except av.error.InvalidDataError:
                failures += 1
                packets = self._container.demux(self._stream)
                continue
            except (av.error.FFmpegError, OSError, IndexError):
                return  # PyAV's IndexError: the end of a stream to which a track was added late
            if packet is None:
                return
            if packet.size:
                frames = self._frames_of(packet)
                failures = failures + 1 if frames is None else 0
                yield from frames or ()

    def _frames_of(self, packet: av.Packet) -> list[RawFrame] | None:
        """Decodes a packet; None for one that is damaged, or uses what FFmpeg does not support."""
        try:
            return self._context.decode(packet)
        except av.error.FFmpegError:
            return None
