"""A slot without losses: putting a frame waits until the one before was taken."""

from __future__ import annotations

import threading

from server.cameras.frames import Frame, FrameSlot


class LosslessSlot(FrameSlot):
    """A `FrameSlot` whose `put` waits for room, for a video that is to be analysed frame by frame."""

    def __init__(self) -> None:
        super().__init__()
        self._room = threading.Condition()
        self._held = False
        self._shut = False

    @property
    def held(self) -> bool:
        """Whether a frame waits to be taken."""
        return self._held

    def put(self, frame: Frame) -> None:
        """Waits until the slot is empty, then stores a frame; drops it when the slot is shut."""
        with self._room:
            self._room.wait_for(lambda: self._shut or not self._held)
            if self._held:
                return
            self._held = True
            super().put(frame)

    async def get(self) -> Frame:
        """Waits for a frame and takes it out; one task at a time."""
        frame = await super().get()
        with self._room:  # held only while a flag is set
            self._held = False
            self._room.notify()
        return frame

    def newer(self, frame: Frame) -> Frame:
        """Returns the same frame, because the next one is processed too."""
        return frame

    def shut(self, shut: bool) -> None:
        """Shuts or reopens the slot; while shut, put() never blocks; the frame inside stays."""
        with self._room:
            self._shut = shut
            self._room.notify_all()
