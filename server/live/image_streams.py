"""One camera's image streams: which kinds are watched, and the last image of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from server.live.broadcast import KINDS, REPEAT_S, Broadcast, Kind, Part
from server.live.marker import Marked


class ImageStreams:
    """A stream for each kind of image; belongs to the event loop's thread.

    Attributes:
        by_kind: encoded frames, and notices of the camera's state.
    """

    def __init__(self, *, on_viewers: Callable[[int], None]) -> None:
        """Create it inside the running event loop.

        Args:
            on_viewers: called with the number of viewers of a stream whenever that changes.
        """
        self.by_kind: Mapping[Kind, Broadcast[Part]] = {
            kind: Broadcast(repeat_s=REPEAT_S, on_viewers=on_viewers) for kind in KINDS
        }
        self._canvases: dict[Kind, np.ndarray] = {}

    @property
    def viewers(self) -> int:
        """The number of viewers, of all kinds together."""
        return sum(stream.viewers for stream in self.by_kind.values())

    def watched(self) -> tuple[Kind, ...]:
        """Returns the kinds that have viewers."""
        return tuple(kind for kind, stream in self.by_kind.items() if stream.viewers)

    def last(self, kind: Kind) -> np.ndarray | None:
        """Returns the last image of a kind, uint8 [H, W, 3] RGB, if its viewers may still see it."""
        return self._canvases.get(kind)

    def publish(self, marked: Marked, *, published_s: float) -> None:
        """Publishes a frame's images, of the kinds that still have viewers."""
        for kind, jpeg in marked.jpegs.items():
            stream = self.by_kind[kind]
            if not stream.viewers:
                continue
            if kind in marked.canvases:
                self._canvases[kind] = marked.canvases[kind]
            stream.publish(Part.of_frame(jpeg, marked.analysis, published_s=published_s))

    def forget(self) -> None:
        """Drops the last images."""
        for kind in KINDS:
            self._forget(kind)

    def forget_unwatched(self) -> None:
        """Drops the last images of kinds without viewers: new viewers must not see a stale frame."""
        for kind, stream in self.by_kind.items():
            if not stream.viewers:
                self._forget(kind)

    def close(self) -> None:
        """Ends every viewer's iteration."""
        for stream in self.by_kind.values():
            stream.close()

    def _forget(self, kind: Kind) -> None:
        self._canvases.pop(kind, None)
        self.by_kind[kind].forget()
