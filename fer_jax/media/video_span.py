"""Finds the share of a video that one of several workers decodes, from packets alone.

Shares begin at keyframes, at about equal numbers of frames, and hold whole groups of pictures; numbers,
times and sampling of their frames are those of the undivided video. A video with too little information
(no timestamps, codecs whose packets do not give the number of frames shown, a damaged container) is not
divided: its first share is all of it, and the others are empty.
"""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import av.error

from fer_jax.media.video_losses import AviIndex
from fer_jax.media.video_shown import READABLE, Shown, shown_by

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

# In these codecs each packet is one frame, so that packets without a frame are lost frames. In most
# others a packet may hold two frames, or one that is never shown.
ONE_FRAME_A_PACKET = frozenset({"h264", "hevc", "mjpeg", "mpeg1video", "mpeg2video", "theora"})


@dataclasses.dataclass(frozen=True)
class VideoSpan:
    """A share: the frames whose time stamps are at least `start` and below `end`.

    Attributes:
        start, end: time stamps in the stream's unit; an `end` of None is that of the video.
        first: number of the share's first frame in the video, if all before it can be decoded.
        before_s: times of all frames before, in seconds.
    """

    start: int
    end: int | None
    first: int
    before_s: Sequence[float]

    def holds(self, stamp: int | None) -> bool:
        """Returns whether a frame is in the share."""
        return stamp is not None and self.start <= stamp and not self.is_over(stamp)

    def is_over(self, stamp: int | None) -> bool:
        """Returns whether a frame comes after the share."""
        return stamp is not None and self.end is not None and stamp >= self.end


EMPTY = VideoSpan(0, 0, 0, ())


def find_span(
    container: InputContainer,
    stream: VideoStream,
    *,
    share: int,
    shares: int,
    passed: Callable[[], None],
) -> VideoSpan | None:
    """Reads all packets and returns a share; None for the whole video, `EMPTY` for nothing.

    Args:
        container: at its beginning; afterwards at its end, if its codec lets it be divided.
        stream: of the video.
        share: from 0.
        shares: how many there are.
        passed: called for each packet.
    """
    found = _stamps(container, stream, passed)
    if found is None:
        return EMPTY if share else None
    stamps, keys = found
    edges: list[int | None] = [stamps[0]]
    for number in range(1, shares):
        at = bisect.bisect_left(keys, stamps[len(stamps) * number // shares])
        edges.append(keys[at] if at < len(keys) else None)
    start, end = (*edges, None)[share : share + 2]
    if start is None or start == end:
        return EMPTY
    first = bisect.bisect_left(stamps, start)
    unit_s, zero = float(stream.time_base or 0), stream.start_time or 0
    before_s = [stamp * unit_s - zero * unit_s for stamp in stamps[:first]]
    return VideoSpan(start, end, first, before_s)


def _stamps(
    container: InputContainer, stream: VideoStream, passed: Callable[[], None]
) -> tuple[list[int], list[int]] | None:
    """Returns the sorted time stamps of all frames and of keyframes; None if they are not plain."""
    stamps, keys, hidden = list[int](), list[int](), set[int]()
    codec = stream.codec_context.codec.canonical_name
    if codec not in ONE_FRAME_A_PACKET | READABLE:
        return None
    index = AviIndex(stream) if container.format.name == "avi" else None
    try:
        for packet in container.demux(stream):
            passed()
            if not packet.size:
                continue
            if packet.pts is None or packet.is_discard:
                return None
            stamp = packet.pts
            if index is not None:
                index.correct(packet)
            if packet.pts != stamp:  # behind a loss
                return None
            shown = _shown(codec, packet)
            if shown is None or shown.frames > 1:
                return None
            if not shown.frames:
                hidden.add(packet.pts)
                continue
            stamps.append(packet.pts)
            if shown.key:
                keys.append(packet.pts)
    except (av.error.FFmpegError, IndexError):
        return None
    if index is not None and index.missing:
        return None
    plain = (
        bool(keys)
        and hidden.isdisjoint(keys)  # a share begins with the first packet of its time stamp
        and keys[0] == stamps[0] == min(stamps)
        and keys == sorted(keys)
        and len(set(stamps)) == len(stamps)
        and stream.start_time is not None
        and stream.start_time <= stamps[0]
    )
    return (sorted(stamps), keys) if plain else None


def _shown(codec: str, packet: Packet) -> Shown | None:
    if codec in ONE_FRAME_A_PACKET:
        return Shown(1, packet.is_keyframe)
    shown = shown_by(codec, memoryview(packet))
    return shown and shown._replace(key=shown.key and packet.is_keyframe)
