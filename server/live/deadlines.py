"""When a frame is too old to go on: after two intervals, at the rate at which frames do get through."""

from __future__ import annotations

from server.cameras.frames import Frame

_LATE_INTERVALS = 2.0
_MEMORY = 0.8  # share of the past in the mean interval, frame by frame


class Lateness:
    """Frame deadlines for one camera.

    On a machine that is too slow for the camera's own rate every frame would be late by that rate: so
    the intervals between those that got through count, too, and the time since the last one.
    """

    def __init__(self, now_s: float) -> None:
        """Starts at some moment, in monotonic seconds like all times here."""
        self._done_s = now_s
        self._interval_s = 0.0

    def frame_done(self, now_s: float) -> None:
        """A frame got through."""
        self._interval_s = _MEMORY * self._interval_s + (1 - _MEMORY) * (now_s - self._done_s)
        self._done_s = now_s

    def deadline_s(self, frame: Frame, *, interval_s: float, now_s: float) -> float:
        """Returns the moment from which on the frame is worth nothing.

        Args:
            frame: counts from when the server had it.
            interval_s: between the camera's own frames.
            now_s: the time.
        """
        interval_s = max(interval_s, self._interval_s, now_s - self._done_s)
        return frame.captured_s + frame.read_s + _LATE_INTERVALS * interval_s
