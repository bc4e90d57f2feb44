"""Decodes, detects and recognises on all cores and the device, and yields results in order.

One thread per core takes the next view, reads it and crops its faces; one device thread takes faces of
any files that are ready, a full batch at a time. A view occupies one of a fixed number of slots from its
start until it is written, so memory does not grow with the inputs.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from fer_jax.machine.processor import usable_cores
from fer_jax.scoring.find_faces import find_faces
from fer_jax.scoring.stages import Stages
from fer_jax.scoring.views import ScoredFace, View

# Views in flight, in batches: enough for full batches when most images have no face.
_VIEWS_IN_FLIGHT = 4

# Faces that may wait for the device; detection pauses above this number.
_FACES_WAITING = 8

# How long an incomplete batch waits while inputs arrive slowly, such as a list being typed.
_PATIENCE_S = 0.2

_JOIN_S = 10.0


class _Waiting(NamedTuple):
    """A face waiting for the device."""

    sequence: int
    face: ScoredFace


@dataclasses.dataclass(slots=True)
class _Searched:
    """A view with faces that are not recognised yet."""

    view: View
    unknown: int


class ScoringPipeline:
    """Iterates over the finished views in the order of the source; used as a context manager.

    An error of one input becomes its view's `error`. Errors of the device or of the source are raised by
    the iteration.
    """

    def __init__(self, source: Iterator[View], stages: Stages) -> None:
        """Prepares to process the views of `source`; entering the context starts the threads."""
        self._source, self._stages = source, stages
        count = stages.threads or usable_cores()
        self._most_in_flight = _VIEWS_IN_FLIGHT * stages.batch_size + count
        self._source_lock = threading.Lock()
        lock = threading.Lock()
        self._slot = threading.Condition(lock)  # for the thread that takes the next view
        self._faces_wait = threading.Condition(lock)  # for the device thread
        self._room = threading.Condition(lock)  # for threads with faces, when too many wait
        self._reader_waits = threading.Condition(lock)  # for the reader of the results
        self._waiting: deque[_Waiting] = deque()
        self._searched: dict[int, _Searched] = {}
        self._finished: dict[int, View] = {}
        self._taking = False  # a thread waits for the source
        self._begun = self._handed_over = self._given = 0  # numbers of views so far
        self._exhausted = self._stopping = False
        self._failure: BaseException | None = None
        self._threads = [
            threading.Thread(target=self._guarded, args=(work,), daemon=True)
            for work in (self._recognise, *[self._search] * count)
        ]

    def __enter__(self) -> ScoringPipeline:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def stop(self) -> bool:
        """Ends the threads; returns False if one is stuck and will only end with the process."""
        with self._reader_waits:
            self._stopping = True
            for condition in (self._slot, self._faces_wait, self._room, self._reader_waits):
                condition.notify_all()
        end = time.monotonic() + _JOIN_S
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def __iter__(self) -> Iterator[list[View]]:
        """Yields the views with their faces in the source's order, as many at a time as are ready."""
        while True:
            ready = []
            with self._reader_waits:
                while self._given not in self._finished and self._failure is None:
                    if self._exhausted and self._given == self._begun:
                        return
                    self._reader_waits.wait()
                if self._failure is not None:
                    raise self._failure
                while (view := self._finished.pop(self._given, None)) is not None:
                    ready.append(view)
                    self._given += 1
                self._slot.notify()
            yield ready

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  raised again by the iteration
            with self._reader_waits:
                self._failure = self._failure or error
                self._reader_waits.notify_all()

    def _search(self) -> None:
        """Body of a worker thread: takes a view, finds its faces, passes them to the device."""
        stages = self._stages
        with stages.decoder() as decoder:
            while (taken := self._take()) is not None:
                sequence, view = taken
                find_faces(
                    view, stages.detector, decoder, images=stages.images, rotate=stages.rotate
                )
                self._hand_over(sequence, view)

    def _take(self) -> tuple[int, View] | None:
        """Takes the next view from the source, which decodes videos; None at its end."""
        with self._source_lock:
            with self._slot:
                while self._begun - self._given >= self._most_in_flight and not self._stopping:
                    self._slot.wait()
                if self._stopping or self._exhausted:
                    return None
                self._taking = True
            view = next(self._source, None)
            if view is not None:
                # Without the lock, in the opposite order of `_none_to_come`, so at least one thread
                # sees the other's update.
                self._begun += 1
                self._taking = False
                return self._begun - 1, view
            with self._reader_waits:
                self._exhausted, self._taking = True, False
                self._reader_waits.notify()
                self._faces_wait.notify()
                return None

    def _hand_over(self, sequence: int, view: View) -> None:
        with self._reader_waits:
            while len(self._waiting) > _FACES_WAITING * self._stages.batch_size:
                if self._stopping:
                    return
                self._room.wait()
            self._handed_over += 1
            none_waited = not self._waiting
            if view.faces:
                self._searched[sequence] = _Searched(view, len(view.faces))
                self._waiting.extend(_Waiting(sequence, face) for face in view.faces)
            else:
                self._finish(sequence, view)
            if none_waited or self._none_to_come() or self._is_full():
                self._faces_wait.notify()

    def _finish(self, sequence: int, view: View) -> None:
        self._finished[sequence] = view
        if sequence == self._given:
            self._reader_waits.notify()

    def _recognise(self) -> None:
        """Body of the device thread."""
        while batch := self._batch():
            answer = self._stages.recognise(np.stack([face.crop for _, face in batch]))
            confidence, uncertain = answer.confidence.tolist(), answer.uncertain.tolist()
            with self._reader_waits:
                for n, (sequence, face) in enumerate(batch):
                    face.probabilities = answer.probabilities[n]
                    face.confidence = confidence[n]
                    face.uncertain = face.quality != "ok" or uncertain[n]
                    searched = self._searched[sequence]
                    searched.unknown -= 1
                    if not searched.unknown:
                        del self._searched[sequence]
                        self._finish(sequence, searched.view)

    def _batch(self) -> list[_Waiting]:
        """Waits for a full batch, or a partial one if no more faces will come soon; empty at the end."""
        with self._reader_waits:
            while not self._stopping and not self._is_full():
                if self._waiting and self._none_to_come():
                    break
                if not self._faces_wait.wait(_PATIENCE_S if self._waiting else None):
                    break
            if self._stopping:
                return []
            count = min(self._stages.batch_size, len(self._waiting))
            batch = [self._waiting.popleft() for _ in range(count)]
            self._room.notify_all()
            return batch

    def _is_full(self) -> bool:
        return len(self._waiting) >= self._stages.batch_size

    def _none_to_come(self) -> bool:
        """Whether every thread waits: for a slot, or at the end of the source."""
        return not self._taking and self._handed_over == self._begun
