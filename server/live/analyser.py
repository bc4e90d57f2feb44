"""Finds a camera's faces and their probabilities, frame by frame; drops late frames: see `deadlines`.

A camera may give the same image again, as one of still images does. It is not analysed twice.
"""

from __future__ import annotations

import dataclasses
import time
from typing import NamedTuple

import numpy as np

from server.cameras.camera import Camera
from server.cameras.frames import Frame
from server.live.batcher import Answer, Batcher, DeadlinePassed
from server.live.controls import Controls
from server.live.deadlines import Lateness
from server.live.detection_threads import DetectionThreads, Found
from server.settings import Rotation


class Known(NamedTuple):
    """What was found in an image.

    Attributes:
        image: uint8 [H, W, 3] RGB as analysed: rotated and flipped.
        found: its faces.
        answer: their probabilities.
    """

    image: np.ndarray
    found: Found
    answer: Answer


class Analyser:
    """Analyses one camera's frames; belongs to the event loop's thread."""

    def __init__(self, camera: Camera, *, threads: DetectionThreads, batcher: Batcher) -> None:
        """Starts before the first frame.

        Args:
            camera: whose frames they are.
            threads: threads for OpenCV's work, shared by the cameras.
            batcher: shared by all cameras.
        """
        self._camera, self._pool, self._batcher = camera, threads, batcher
        self._lateness = Lateness(time.monotonic())
        self._repeats = _Repeats()

    async def analyse(self, frame: Frame, controls: Controls) -> Known:
        """Returns what is in a frame; the caller holds a place of the threads, which this gives back.

        Raises:
            DeadlinePassed: it took too long to be of use.
        """
        known = self._repeats.find(frame.image, controls)
        if known is not None:
            self._pool.give_up_place()
            return known
        image, found = await self._pool.find_oriented(
            frame.image, rotate=controls.rotate, flip=controls.flip
        )
        now_s, deadline_s = time.monotonic(), None
        if not self._camera.lossless:
            deadline_s = self._lateness.deadline_s(
                frame, interval_s=self._camera.interval_s, now_s=now_s
            )
            if now_s > deadline_s:
                raise DeadlinePassed
        answer = await self._batcher.answer(
            found.crops, client=self._camera.name, deadline_s=deadline_s, live=True
        )
        known = Known(image, found, answer)
        self._repeats.keep(frame.image, controls, known)
        return known

    def frame_done(self, now_s: float) -> None:
        """Notes that a frame was published, which decides how late the next ones may be."""
        self._lateness.frame_done(now_s)


class _Repeats:
    """The last image of one camera and what was found in it; belongs to the event loop's thread."""

    def __init__(self) -> None:
        """Starts without an image."""
        self._key: tuple[np.ndarray, Rotation, bool] | None = None
        self._known: Known | None = None

    def find(self, source: np.ndarray, controls: Controls) -> Known | None:
        """Returns what is known of an image if it is the very same array as last time.

        Its stages took no time; waiting counts from now.
        """
        if self._key is None or self._known is None or self._key[0] is not source:
            return None
        if self._key[1:] != (controls.rotate, controls.flip):
            return None
        image, found, answer = self._known
        found = dataclasses.replace(found, started_s=time.monotonic(), seconds=0.0)
        return Known(image, found, dataclasses.replace(answer, queue_s=0.0, predict_s=0.0))

    def keep(self, source: np.ndarray, controls: Controls, known: Known) -> None:
        """Replaces the last image; `controls` are those it was analysed under."""
        self._key, self._known = (source, controls.rotate, controls.flip), known
