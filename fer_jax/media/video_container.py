"""Opens video files and finds their video track; nothing is decoded yet.

FFmpeg, through PyAV, gets only the open file: no name, no other file, no network.
"""

from __future__ import annotations

import errno
import os
from fractions import Fraction
from typing import BinaryIO

import av
import av.error
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame as RawFrame
from av.video.stream import VideoStream

from fer_jax.media.video_header import FORMATS, is_video

OPENABLE_PIXELS = 1 << 27  # of a frame, to learn the size of one that is then refused

_HEAD_BYTES = 4096
_READ_BYTES = 1 << 18

# FFmpeg opens playlists that point elsewhere; these are the formats that `is_video` accepts.
_CONTAINERS = "mov,matroska,avi,mpegts,mpeg,mpegvideo,ogg,flv,asf"


class BadVideoError(ValueError):
    """A file that cannot be read as a video; the message gives the reason without the file's name."""


def open_container(file: BinaryIO, *, max_pixels: int = OPENABLE_PIXELS) -> InputContainer:
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
    """Returns the default video track, otherwise the first one; a cover image is not a track.

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


def pixel_aspect(stream: VideoStream, frame: RawFrame, *, first_size: tuple[int, int]) -> Fraction:
    """Returns the width of a frame's pixels by their height; 1 if unspecified.

    After a change of size the codec is right, because the container describes the first frame.
    """
    if (frame.width, frame.height) == first_size:
        return stream.sample_aspect_ratio or Fraction(1)
    return stream.codec_context.sample_aspect_ratio or Fraction(1)


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
