"""Turns signals into a request to stop, so that a run can save itself first.

A signal reaches one process of a cluster. All of them must stop before the same step.
"""

from __future__ import annotations

import signal
from collections import deque
from types import FrameType

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from fer_jax.machine import sharding


class StopSignal:
    """Turns SIGTERM and the first Ctrl-C into a request to stop; a second Ctrl-C has its default effect.

    A second SIGTERM does not: make and timeout send it to a process and to its group.
    """

    def __init__(self) -> None:
        self.received = 0

    def __enter__(self) -> StopSignal:
        self._before = {s: signal.signal(s, self._note) for s in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        self.received = number
        if number == signal.SIGINT:
            signal.signal(number, self._before[signal.SIGINT])


class SharedStop:
    """Informs all processes of a run that one of them has received a signal.

    Attributes:
        received: the signal's number, 0 as long as there was none.
    """

    def __init__(self, stop: StopSignal, mesh: Mesh, *, lag: int) -> None:
        """Shares the signals of each process's `stop` over the devices of the run.

        The answer to a question is given `lag` questions later, so that asking waits for no device.
        """
        self.received = 0
        self._stop = stop
        self._mesh = mesh
        self._lag = lag
        self._largest = jax.jit(jnp.max, out_shardings=sharding.replicated(mesh))
        self._asked: deque[jax.Array] = deque()

    def __call__(self) -> bool:
        """Whether to stop now; all processes must ask equally often."""
        if jax.process_count() == 1:
            self.received = self._stop.received
            return self.received != 0
        own = np.full(self._mesh.size, self._stop.received, np.int32)
        self._asked.append(self._largest(sharding.put_batch(own, self._mesh)))
        if len(self._asked) > self._lag:
            self.received = int(jax.device_get(self._asked.popleft()))
        return self.received != 0
