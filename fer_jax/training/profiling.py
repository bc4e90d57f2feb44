"""Traces some steps with JAX's profiler: the time of each operation by device and thread."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import jax

_SKIPPED = 8  # steps; the first compile and the next fill the pipeline
_TRACED = 10


@contextlib.contextmanager
def profiled(folder: Path | None) -> Iterator[Callable[[int], None]]:
    """Yields a function to call before every step; it traces a few of them.

    Args:
        folder: for the trace, which TensorBoard and Perfetto read; None: no trace.
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
