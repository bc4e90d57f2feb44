"""Hands the newest item, made once, to many viewers: encoded images and analyses.

A viewer that is busy when an item arrives skips it and gets the newest when it asks again; nothing is
queued and nothing is copied. Everything here belongs to the event loop's thread.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Generic, Literal, Self, TypeVar, get_args

from server.live.analysis import Analysis

Kind = Literal["annotated", "bars", "plain"]  # of image: box and label, bars too, nothing drawn
KINDS: tuple[Kind, ...] = get_args(Kind)

REPEAT_S = 0.5  # browsers show a multipart image only when the next one starts


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """One encoded image, the same immutable bytes for everyone.

    Attributes:
        jpeg: the file.
        number: the frame's; an image of the camera's state has the last frame's, or 0.
        captured_s, published_s: monotonic seconds.
        wall_s: `captured_s` as seconds since 1970.
        stages: seconds spent in each of `server.live.analysis.STAGES` that ran.
        analysis: the frame's analysis; None for an image that shows the camera's state.
    """

    jpeg: bytes
    number: int
    captured_s: float
    wall_s: float
    published_s: float
    stages: Mapping[str, float]
    analysis: Analysis | None

    @classmethod
    def of_frame(cls, jpeg: bytes, analysis: Analysis, *, published_s: float) -> Self:
        """Returns the image of an analysed frame."""
        return cls(
            jpeg=jpeg,
            number=analysis.number,
            captured_s=analysis.captured_s,
            wall_s=analysis.wall_s,
            published_s=published_s,
            stages=analysis.stages,
            analysis=analysis,
        )


T = TypeVar("T")


class Broadcast(Generic[T]):
    """Hands the newest item to every viewer.

    with broadcast.subscribe() as viewer:
        async for item in viewer:
            ...
    """

    def __init__(
        self,
        *,
        repeat_s: float | None = None,
        on_viewers: Callable[[int], None] = lambda count: None,
    ) -> None:
        """Starts with nothing to show; create it inside the running event loop.

        Args:
            repeat_s: with viewers, the last item is sent again after that long without a new
                one; None never repeats. A repeat is the same object.
            on_viewers: called with the number of viewers whenever that changes.
        """
        self._repeat_s, self._on_viewers = repeat_s, on_viewers
        self._loop = asyncio.get_running_loop()
        self._viewers: set[Viewer[T]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self.latest: T | None = None
        self.version = 0  # counts items sent, repeats included

    @property
    def viewers(self) -> int:
        """The number of viewers."""
        return len(self._viewers)

    def publish(self, item: T) -> None:
        """Makes an item the newest."""
        self.latest = item
        self._hand_out()

    def forget(self) -> None:
        """Drops the last item; it is neither repeated nor replayed."""
        self.latest = None
        self._stop_timer()

    def subscribe(self, *, replay: bool = True) -> Viewer[T]:
        """Returns a new viewer, counted from now on until it is closed.

        Args:
            replay: start with the last item, if there is one.
        """
        viewer = Viewer(
            self, seen=self.version - 1 if replay and self.latest is not None else self.version
        )
        if self._closed:
            viewer.end()
            return viewer
        self._viewers.add(viewer)
        self._start_timer()
        self._on_viewers(self.viewers)
        return viewer

    def remove(self, viewer: Viewer[T]) -> None:
        """Removes a viewer; called by the viewer itself."""
        if viewer in self._viewers:
            self._viewers.discard(viewer)
            if not self._viewers:
                self._stop_timer()
            self._on_viewers(self.viewers)

    def close(self) -> None:
        """Ends the iteration of every viewer, future ones included."""
        self._closed = True
        self._stop_timer()
        for viewer in tuple(self._viewers):
            viewer.end()

    def _hand_out(self) -> None:
        self.version += 1
        for viewer in self._viewers:
            viewer.wake()
        self._start_timer()

    def _start_timer(self) -> None:
        self._stop_timer()
        if self._repeat_s is not None and self._viewers and self.latest is not None:
            self._timer = self._loop.call_later(self._repeat_s, self._hand_out)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Viewer(Generic[T]):
    """One viewer: a context manager and an asynchronous iterator, for one task.

    Ends when the broadcast or the viewer is closed.
    """

    def __init__(self, broadcast: Broadcast[T], *, seen: int) -> None:
        """See `Broadcast.subscribe`."""
        self._broadcast, self._seen = broadcast, seen
        self._news: asyncio.Future[None] | None = None
        self._ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        broadcast = self._broadcast
        while not self._ended:
            if self._seen != broadcast.version and broadcast.latest is not None:
                self._seen = broadcast.version
                return broadcast.latest
            self._seen = broadcast.version
            self._news = asyncio.get_running_loop().create_future()
            await self._news
        raise StopAsyncIteration

    def close(self) -> None:
        """Stops watching; may be called twice."""
        self.end()
        self._broadcast.remove(self)

    def wake(self) -> None:
        """Called when there is news."""
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    def end(self) -> None:
        """Ends the iteration at its next item."""
        self._ended = True
        self.wake()
