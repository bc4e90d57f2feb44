"""Decodes, detects and recognises with every core and the device at work, and gives results in order.

One thread per core takes the next view, reads it and cuts out its faces; one device thread takes faces
of whatever files are ready, a full batch at a time. A view holds one of a fixed number of slots from
when it is begun to when its turn to be written has come, so memory does not grow with the inputs.
"""

from __future__ import annotations

import dataclasses
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from fer_jax.scoring.look import look
from fer_jax.scoring.stages import Stages
from fer_jax.scoring.views import ScoredFace, View

# Views in flight, in batches: enough for full batches when most pictures have no face.
_VIEWS_IN_FLIGHT = 4

# Faces that may wait for the device; finding more pauses above it.
_FACES_WAITING = 8

# How long a batch that is not full waits while inputs are slow to come, as a list that is being typed.
_PATIENCE_S = 0.2

_JOIN_S = 10.0


class _Waiting(NamedTuple):
    """A face on its way to the device."""

    sequence: int
    face: ScoredFace


@dataclasses.dataclass(slots=True)
class _Looked:
    """A view some of whose faces are not recognised yet."""

    view: View
    unknown: int


class Pipeline:
    """Iterates over the finished views in the order of the source; used as a context manager.

    What goes wrong with one input becomes its view's `error`. What goes wrong with the device, or with
    the source itself, is raised by the iteration.
    """

    def __init__(self, source: Iterator[View], stages: Stages) -> None:
        """Prepares to look at the views of `source`; nothing starts before the context is entered."""
        self._source, self._stages = source, stages
        count = stages.threads or len(os.sched_getaffinity(0))
        self._slots = threading.Semaphore(_VIEWS_IN_FLIGHT * stages.batch_size + count)
        self._source_lock = threading.Lock()
        lock = threading.Lock()
        self._faces_wait = threading.Condition(lock)  # for the device thread
        self._room = threading.Condition(lock)  # for threads with faces, when too many wait
        self._turn = threading.Condition(lock)  # for the reader of the results
        self._waiting: deque[_Waiting] = deque()
        self._looked: dict[int, _Looked] = {}
        self._finished: dict[int, View] = {}
        self._begun = self._given = 0
        self._busy = 0  # threads that may soon bring faces
        self._exhausted = self._stopping = False
        self._failure: BaseException | None = None
        self._threads = [
            threading.Thread(target=self._guarded, args=(work,), daemon=True)
            for work in (self._recognise, *[self._look] * count)
        ]

    def __enter__(self) -> Pipeline:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def stop(self) -> bool:
        """Ends the threads; False if one is stuck and will end with the process only."""
        with self._turn:
            self._stopping = True
            for condition in (self._faces_wait, self._room, self._turn):
                condition.notify_all()
        self._slots.release(len(self._threads))
        end = time.monotonic() + _JOIN_S
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def __iter__(self) -> Iterator[View]:
        """Gives each view with its faces, in the source's order."""
        while True:
            with self._turn:
                while self._given not in self._finished and self._failure is None:
                    if self._exhausted and self._given == self._begun:
                        return
                    self._turn.wait()
                if self._failure is not None:
                    raise self._failure
                view = self._finished.pop(self._given)
                self._given += 1
            yield view
            self._slots.release()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  raised again by the iteration
            with self._turn:
                self._failure = self._failure or error
                self._turn.notify_all()

    def _look(self) -> None:
        """One thread's life: take a view, look at it, hand its faces to the device."""
        detector = self._stages.make_detector()
        while True:
            self._slots.acquire()
            with self._turn:
                if self._stopping:
                    return
                self._busy += 1
            try:
                taken = self._take()
                if taken is None:
                    return
                sequence, view = taken
                look(
                    view,
                    detector,
                    max_pixels=self._stages.max_pixels,
                    pictures=self._stages.pictures,
                )
                self._hand_over(sequence, view)
            finally:
                with self._turn:
                    self._busy -= 1
                    if not self._busy:
                        self._faces_wait.notify()

    def _take(self) -> tuple[int, View] | None:
        """Takes the next view off the source, which is where videos are decoded; None at its end."""
        with self._source_lock:
            view = None if self._exhausted else next(self._source, None)
            with self._turn:
                if view is None:
                    self._exhausted = True
                    self._turn.notify()
                    self._slots.release()  # for the next thread to come here and end, too
                    return None
                self._begun += 1
                return self._begun - 1, view

    def _hand_over(self, sequence: int, view: View) -> None:
        with self._turn:
            while len(self._waiting) > _FACES_WAITING * self._stages.batch_size:
                if self._stopping:
                    return
                self._room.wait()
            if not view.faces:
                self._finish(sequence, view)
                return
            self._looked[sequence] = _Looked(view, len(view.faces))
            none_waited = not self._waiting
            self._waiting.extend(_Waiting(sequence, face) for face in view.faces)
            if none_waited or len(self._waiting) >= self._stages.batch_size:
                self._faces_wait.notify()

    def _finish(self, sequence: int, view: View) -> None:
        self._finished[sequence] = view
        if sequence == self._given:
            self._turn.notify()

    def _recognise(self) -> None:
        """The device thread's life."""
        while batch := self._batch():
            answer = self._stages.recognise(np.stack([face.crop for _, face in batch]))
            confidence, uncertain = answer.confidence.tolist(), answer.uncertain.tolist()
            with self._turn:
                for n, (sequence, face) in enumerate(batch):
                    face.probabilities = answer.probabilities[n]
                    face.confidence, face.uncertain = confidence[n], uncertain[n]
                    looked = self._looked[sequence]
                    looked.unknown -= 1
                    if not looked.unknown:
                        del self._looked[sequence]
                        self._finish(sequence, looked.view)

    def _batch(self) -> list[_Waiting]:
        """Waits for a full batch, or what there is when no more will come soon; empty at the end."""
        size = self._stages.batch_size
        with self._turn:
            while not self._stopping:
                if len(self._waiting) >= size or (self._waiting and not self._busy):
                    break
                if not self._faces_wait.wait(_PATIENCE_S if self._waiting else None):
                    break
            if self._stopping:
                return []
            batch = [self._waiting.popleft() for _ in range(min(size, len(self._waiting)))]
            self._room.notify_all()
            return batch
