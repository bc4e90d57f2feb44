"""Threads for the event loop's image work: find faces, crop them, draw, decode, encode."""

from __future__ import annotations

import asyncio
import concurrent.futures
import dataclasses
import functools
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

import cv2
import numpy as np

from fer_jax.faces.crop import grey_crop
from fer_jax.faces.detect import Detection, Detector, DetectSize, left_to_right, make_detector
from fer_jax.faces.quality import Quality, face_quality
from fer_jax.faces.track import Appearance
from fer_jax.machine.processor import usable_cores
from fer_jax.media.decoder import Decoder
from server.live.orientation import oriented
from server.settings import Rotation

P = ParamSpec("P")
T = TypeVar("T")

_CLOSE_S = 1.0  # for threads to finish; one that draws its first explanation compiles for seconds


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Found:
    """The faces of one image.

    Attributes:
        detections: N faces, from left to right.
        crops: uint8 [48, 48] grey of each, the network's input.
        qualities: of each: "ok", or why it cannot be read.
        appearances: by which a tracker distinguishes them.
        started_s: when detection started, monotonic seconds.
        seconds: how long detection took.
    """

    detections: Sequence[Detection]
    crops: Sequence[np.ndarray]
    qualities: Sequence[Quality]
    appearances: Sequence[Appearance]
    started_s: float
    seconds: float


class DetectionThreads:
    """A few threads that share a face detector; cameras and uploads should each have their own pool."""

    def __init__(
        self,
        *,
        detect_size: DetectSize,
        threads: int | None = None,
        niceness: int = 0,
        decodes: int | None = None,
    ) -> None:
        """Creates no detector yet; see `warm_up`.

        OpenCV's own threads are switched off for the whole process: processing images in parallel is
        faster than processing parts of one image in parallel.

        Args:
            detect_size: longer side in pixels of the copy in which faces are detected.
            threads: None for one per core, from 2 to 8.
            niceness: 1 to 19 gives other threads of the process priority (Linux only).
            decodes: most pixels of an image that `decoder` accepts; None for no decoder.
        """
        cv2.setNumThreads(1)
        self._size: DetectSize = detect_size
        self._niceness, self._decodes = niceness, decodes
        self._local = threading.local()
        self._decoders: list[Decoder] = []
        self.threads = threads or min(8, max(2, usable_cores()))
        self._places = asyncio.Semaphore(self.threads)
        self._unfinished: set[concurrent.futures.Future[Any]] = set()
        # Drawing a nearly finished frame takes precedence over detection in the next.
        self._aside = concurrent.futures.ThreadPoolExecutor(
            self.threads, thread_name_prefix="draw", initializer=self._enter_thread
        )
        self._executor = concurrent.futures.ThreadPoolExecutor(
            self.threads, thread_name_prefix="detect", initializer=self._enter_thread
        )

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Calls `function` in one of the threads and returns its result."""
        return await self._run_in(self._executor, functools.partial(function, *args, **kwargs))

    async def run_aside(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Like `run`, in other threads that do not wait for detections; without `find_now`."""
        return await self._run_in(self._aside, functools.partial(function, *args, **kwargs))

    async def place(self) -> None:
        """Waits until a thread is free; `find_oriented` or `give_up_place` must follow.

        Call it before choosing the image, to choose the newest. Callers get places in turn.
        """
        await self._places.acquire()

    def give_up_place(self) -> None:
        """Releases a `place` that is not needed."""
        self._places.release()

    async def find_oriented(
        self, image: np.ndarray, *, rotate: Rotation, flip: bool
    ) -> tuple[np.ndarray, Found]:
        """Orients uint8 [H, W, 3] RGB as `orientation.oriented` does; returns it with its faces.

        The caller holds a `place`, which is released.
        """

        def orient_and_find() -> tuple[np.ndarray, Found]:
            upright = oriented(image, rotate=rotate, flip=flip)
            return upright, self.find_now(upright)

        try:
            return await self.run(orient_and_find)
        finally:
            self._places.release()

    def decoder(self) -> Decoder:
        """Returns the calling thread's decoder; the thread must belong to the pool."""
        if not hasattr(self._local, "decoder"):
            assert self._decodes is not None
            self._local.decoder = Decoder(max_pixels=self._decodes)
            self._decoders.append(self._local.decoder)
        return self._local.decoder

    def find_now(self, image: np.ndarray) -> Found:
        """Returns the faces of uint8 [H, W, 3] RGB; the calling thread must be of `run`."""
        started_s = time.monotonic()
        detections = left_to_right(self._detector.detect(image))
        crops = [grey_crop(image, found) for found in detections]
        height, width = image.shape[:2]
        return Found(
            detections=detections,
            crops=crops,
            qualities=[
                face_quality(crop, found, width=width, height=height)
                for crop, found in zip(crops, detections, strict=True)
            ],
            appearances=[Appearance.of(crop) for crop in crops],
            started_s=started_s,
            seconds=time.monotonic() - started_s,
        )

    async def warm_up(self) -> None:
        """Creates the detector and every thread's decoder, so that no image waits for them.

        Raises:
            FerError: YuNet's weights are not installed, or no decoder can be started.
        """
        await self.run(lambda: self._detector)
        if self._decodes is None:
            return
        barrier = threading.Barrier(self.threads)

        def start() -> None:
            barrier.wait(timeout=10)  # otherwise one thread would start them all
            self.decoder().start()

        await asyncio.gather(*(self.run(start) for _ in range(self.threads)))

    async def close(self) -> None:
        """Ends the threads once they have finished; leaves those behind that take more than a second."""
        executors = self._executor, self._aside
        for executor in executors:
            executor.shutdown(wait=False, cancel_futures=True)
        unfinished = self._unfinished.copy()
        _, busy = await asyncio.to_thread(concurrent.futures.wait, unfinished, _CLOSE_S)
        if not busy:
            for executor in executors:
                await asyncio.to_thread(executor.shutdown)
        for decoder in self._decoders:
            decoder.close()

    async def _run_in(
        self, executor: concurrent.futures.ThreadPoolExecutor, call: Callable[[], T]
    ) -> T:
        future = executor.submit(call)
        self._unfinished.add(future)
        future.add_done_callback(self._unfinished.discard)
        return await asyncio.wrap_future(future)

    def _enter_thread(self) -> None:
        if self._niceness and hasattr(os, "setpriority"):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), self._niceness)

    @functools.cached_property
    def _detector(self) -> Detector:
        return make_detector("yunet", detect_size=self._size)
