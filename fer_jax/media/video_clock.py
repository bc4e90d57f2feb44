"""The times of a video's frames: stamps may be missing, go backwards, or start anywhere."""

from __future__ import annotations

from av.video.stream import VideoStream


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
