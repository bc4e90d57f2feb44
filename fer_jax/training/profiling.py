"""A trace of some steps by JAX's profiler: how long each operation takes, by device and thread."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import jax

_SKIPPED = 8  # steps: the first compile, the next fill the pipeline
_TRACED = 10


@contextlib.contextmanager
def profiled(folder: Path | None) -> Iterator[Callable[[int], None]]:
    """Gives what to call before every step; a few of them are traced.

    Args:
        folder: where the trace goes, for TensorBoard or Perfetto; None traces nothing.
    """
    seen, tracing = 0, False

    def before_step(step: int) -> None:
        nonlocal seen, tracing
        del step
        if folder is not None and seen == _SKIPPED:
            jax.profiler.start_trace(folder)
            tracing = True
        if tracing and seen == _SKIPPED + _TRACED:
            jax.profiler.stop_trace()
            tracing = False
        seen += 1

    try:
        yield before_step
    finally:
        if tracing:
            jax.profiler.stop_trace()
