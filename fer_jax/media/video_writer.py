"""Writes images as a video that browsers play: H.264 in MP4, or VP8 in WebM without an H.264 encoder.

with VideoWriter(Path("faces.mp4"), size=(640, 360), rate=25) as video:
    video.write(image, time_s=0.04)
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import av.error
import cv2
import numpy as np
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from av.video.stream import VideoStream

from fer_jax.media.closing import ClosedAtExit


class _Kind(NamedTuple):
    """An encoder and what its files need."""

    encoder: str
    format: str
    ending: str
    options: Mapping[str, str]
    at_once: Mapping[str, str]  # further options that keep no frame back
    unit: Fraction  # seconds; the clock of the container


# Tried in this order; FFmpeg is built with some of them. CRF 21 shows no loss at a normal distance.
_KINDS = (
    _Kind(
        "libx264",
        "mp4",
        ".mp4",
        {"preset": "veryfast", "crf": "21"},
        {"tune": "zerolatency"},
        Fraction(1, 90_000),
    ),
    _Kind(
        "libvpx",
        "webm",
        ".webm",
        {"deadline": "realtime", "cpu-used": "4", "crf": "10", "b": "8M"},
        {"lag-in-frames": "0"},
        Fraction(1, 1000),
    ),
)

# Players find the index of a whole file at its start. Without one, each second is self-contained.
_INDEX_FIRST = {"mp4": {"movflags": "+faststart"}}
_READABLE_ALWAYS = {
    "mp4": {
        "movflags": "+frag_keyframe+empty_moov+default_base_moof",
        "frag_duration": "1000000",  # microseconds
        "flush_packets": "1",
    },
    "webm": {"cluster_time_limit": "1000", "flush_packets": "1"},  # milliseconds
}
# Damaged time stamps jump by years; MP4 has no room for a frame of more than 13 hours.
_LONGEST_STILL_S = 3600.0
_MOST_SIDE = 16_000
_GROUP_S = 2.0  # between images that a player can jump to
# VP8 has only the matrix of BT.601. Primaries and transfer of screens: BT.709, in FFmpeg's tables.
_BT709 = 1


class VideoWriter(ClosedAtExit):
    """An open video file, without sound.

    Attributes:
        path: the file; its ending is the container's, added to the name where that has another.
    """

    def __init__(
        self, path: Path, *, size: tuple[int, int], rate: float, readable_always: bool = False
    ) -> None:
        """Creates the file.

        Args:
            path: its folder must exist; an existing file is replaced.
            size: width and height in pixels; an odd side gets one more. Sides of over 16,000 pixels,
                which encoders refuse, are scaled down.
            rate: usual frames per second, for the encoder; frames have their own times.
            readable_always: the file can be played up to its last second even if this process is
                killed; such a file is a few per cent larger.

        Raises:
            OSError: it cannot be written.
        """
        kind = _kind()
        self.path = path if path.suffix.lower() == kind.ending else Path(f"{path}{kind.ending}")
        self._unit, self._last, self._left_out = kind.unit, -1, 0
        scale = min(1.0, _MOST_SIDE / max(size))
        width, height = (max(1, int(side * scale)) for side in size)
        self._size = width + width % 2, height + height % 2
        self._reformatter = VideoReformatter()
        layout = (_READABLE_ALWAYS if readable_always else _INDEX_FIRST).get(kind.format, {})
        options = {**kind.options, **(kind.at_once if readable_always else {})}
        # An absolute path cannot be read as an address.
        container = av.open(str(self.path.absolute()), "w", kind.format, options=dict(layout))
        assert isinstance(container, OutputContainer)
        self._container: OutputContainer | None = container
        self._stream = _video_stream(container, kind, options, size=self._size, rate=rate)
        with self._system_errors():
            container.start_encoding()

    def write(self, image: np.ndarray, *, time_s: float) -> None:
        """Adds a frame.

        Args:
            image: uint8 [H, W, 3] RGB; one of another size is scaled to fit, on black.
            time_s: seconds from the video's start, more than those of the frame before. A gap of more
                than an hour is shortened to it.

        Raises:
            OSError: it cannot be written.
            ValueError: the video is closed.
        """
        if self._container is None:
            raise ValueError(f"{self.path}: the video is closed")
        frame = VideoFrame.from_ndarray(_within(image, self._size), "rgb24")
        frame = self._reformatter.reformat(
            frame,
            format="yuv420p",
            dst_colorspace=Colorspace.ITU601,
            dst_color_range=ColorRange.MPEG,
        )
        due = round(time_s / self._unit) - self._left_out
        most = self._last + round(_LONGEST_STILL_S / self._unit)
        self._left_out += max(0, due - most)
        self._last = max(min(due, most), self._last + 1)
        frame.pts, frame.time_base = self._last, self._unit
        self._encode(frame)

    def close(self) -> None:
        """Completes the file; may be called twice.

        Raises:
            OSError: it cannot be written.
        """
        if self._container is None:
            return
        self._encode(None)
        container, self._container = self._container, None
        with self._system_errors():
            container.close()

    def _encode(self, frame: VideoFrame | None) -> None:
        assert self._container is not None
        with self._system_errors():
            self._container.mux(self._stream.encode(frame))

    @contextlib.contextmanager
    def _system_errors(self) -> Iterator[None]:
        """Converts FFmpeg's errors, after which its encoder must not be used: that crashes."""
        try:
            yield
        except av.error.FFmpegError as error:
            self._container = None
            raise OSError(error.errno, error.strerror) from error


def video_ending() -> str:
    """Returns the ending of the files that `VideoWriter` writes here: ".mp4" or ".webm"."""
    return _kind().ending


def _kind() -> _Kind:
    for kind in _KINDS:
        if kind.encoder in av.codecs_available:
            return kind
    raise OSError(errno.ENOSYS, "FFmpeg has no encoder for H.264 or VP8")


def _video_stream(
    container: OutputContainer,
    kind: _Kind,
    options: dict[str, str],
    *,
    size: tuple[int, int],
    rate: float,
) -> VideoStream:
    width, height = size
    stream = container.add_stream(
        kind.encoder,
        Fraction(min(max(rate, 0.01), 1000.0)).limit_denominator(1001),
        options=options,
        width=width,
        height=height,
        pix_fmt="yuv420p",
        time_base=kind.unit,
    )
    assert isinstance(stream, VideoStream)
    context = stream.codec_context
    context.gop_size = max(1, round(_GROUP_S * rate))
    context.colorspace = Colorspace.ITU601
    context.color_range = ColorRange.MPEG
    context.color_primaries = context.color_trc = _BT709
    return stream


def _within(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns the image in width x height, with its aspect ratio kept; an odd side is repeated."""
    width, height = size
    right, below = width - image.shape[1], height - image.shape[0]
    if right == below == 0:
        return np.ascontiguousarray(image)
    if right in (0, 1) and below in (0, 1):
        return cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE)
    scale = min(width / image.shape[1], height / image.shape[0])
    fitted = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    shown = cv2.resize(
        image, fitted, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    )
    x, y = (width - fitted[0]) // 2, (height - fitted[1]) // 2
    whole = np.zeros((height, width, 3), np.uint8)
    whole[y : y + fitted[1], x : x + fitted[0]] = shown
    return whole
