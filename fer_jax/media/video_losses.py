"""Counts frames that damage removed entirely, where the rest of the container reveals them.

FFmpeg skips bytes that it cannot read. In AVI, the index lists the frames that were there. In Matroska
and WebM, a cluster that holds anything but its elements shows the damage, and a constant frame rate
gives the number of missing frames. Gaps alone show nothing: recordings of screens have them.
"""

from __future__ import annotations

from av.packet import Packet
from av.video.stream import VideoStream

_MOST_ENTRIES = 4_000_000  # 18 hours at 60 frames a second
_CHUNK_HEAD_BYTES = 8
_STEADY = 0.9  # share of the steps between frames that match the frame rate
_TOLERANCE = 0.25  # of a step, for clocks of whole milliseconds
_REST_S = 1.0  # by which sound may be longer than the video


class AviIndex:
    """The index of an AVI file, in which a frame's place is its time."""

    def __init__(self, stream: VideoStream) -> None:
        """Reads the index of an open AVI file; many have none."""
        entries = stream.index_entries
        found = entries if len(entries) <= _MOST_ENTRIES else ()
        # Without bytes: the previous frame is shown again.
        self._numbers = {entry.pos: entry.timestamp for entry in found if entry.size}
        self._seen = 0
        self._fits = True

    @property
    def missing(self) -> int:
        """How many of the frames in the index were never read; final at the end of the file."""
        return max(0, len(self._numbers) - self._seen) if self._fits and self._seen else 0

    def correct(self, packet: Packet) -> None:
        """Gives a packet its own time; behind a loss, FFmpeg counts on from the last frame it read."""
        number = None if packet.pos is None else self._numbers.get(packet.pos - _CHUNK_HEAD_BYTES)
        if number is None or packet.dts is None:
            self._fits = False  # an index of another file, or of no use
        if not self._fits or number is None or packet.dts is None:
            return
        self._seen += 1
        shift = number - packet.dts
        if shift:
            packet.dts += shift
            packet.pts = None if packet.pts is None else packet.pts + shift


class Gaps:
    """What is missing between the frames of a constant rate, by their times."""

    def __init__(self, step_s: float) -> None:
        """Starts before the first frame; `step_s` is the nominal time between two."""
        self._step_s = step_s
        self._last_s: float | None = None
        self._steps = self._steady = self._missing = 0

    def missing(self, *, length_s: float) -> int:
        """Returns how many frames are missing in a video of `length_s` seconds, 0 if unknown.

        Of a variable rate nobody knows: 0.
        """
        if self._last_s is None or self._steady < _STEADY * self._steps:
            return 0
        rest_s = length_s - self._last_s - self._step_s
        return self._missing + (round(rest_s / self._step_s) if rest_s > _REST_S else 0)

    def add(self, time_s: float) -> None:
        """Takes the next frame's time in seconds."""
        if self._last_s is not None:
            steps = (time_s - self._last_s) / self._step_s
            whole = round(steps)
            self._steps += 1
            self._steady += whole == 1 and abs(steps - 1) < _TOLERANCE
            if whole > 1 and abs(steps - whole) < _TOLERANCE:
                self._missing += whole - 1
        self._last_s = time_s
