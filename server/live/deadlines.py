"""Decides when a frame is too old: after two intervals, at the rate at which frames get through."""

from __future__ import annotations

from server.cameras.frames import Frame

_LATE_INTERVALS = 2.0
_MEMORY = 0.8  # weight of the past in the mean interval


class Lateness:
    """Frame deadlines for one camera.

    On a machine too slow for the camera's rate, every frame would be late by that rate. So the intervals
    between frames that got through count too, and the time since the last one.
    """

    def __init__(self, now_s: float) -> None:
        """Starts at `now_s`, in monotonic seconds like all times here."""
        self._done_s = now_s
        self._interval_s = 0.0

    def frame_done(self, now_s: float) -> None:
        """Records that a frame got through."""
        self._interval_s = _MEMORY * self._interval_s + (1 - _MEMORY) * (now_s - self._done_s)
        self._done_s = now_s

    def deadline_s(self, frame: Frame, *, interval_s: float, now_s: float) -> float:
        """Returns the time from which the frame is useless.

        Args:
            frame: its age counts from when the server received it.
            interval_s: between the camera's frames.
            now_s: the current time.
        """
        interval_s = max(interval_s, self._interval_s, now_s - self._done_s)
        return frame.captured_s + frame.read_s + _LATE_INTERVALS * interval_s
