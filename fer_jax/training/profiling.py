"""Traces some steps with JAX's profiler: the time of each operation by device and thread."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import jax

_SKIPPED = 8  # steps; the first compile and the next fill the pipeline
_TRACED = 10


@contextlib.contextmanager
def profiled(folder: Path | None, *, on_device: bool = False) -> Iterator[Callable[[int], None]]:
    """Yields a function to call before every step, or every epoch on the device; it traces a few.

    Args:
        folder: for the trace, which TensorBoard and Perfetto read; None: no trace.
        on_device: whether a call is an epoch, of which the second is traced.
    """
    skipped, traced = (1, 1) if on_device else (_SKIPPED, _TRACED)
    seen, tracing = 0, False

    def before_step(step: int) -> None:
        nonlocal seen, tracing
        del step
        if folder is not None and seen == skipped:
            jax.profiler.start_trace(folder)
            tracing = True
        if tracing and seen == skipped + traced:
            jax.profiler.stop_trace()
            tracing = False
        seen += 1

    try:
        yield before_step
    finally:
        if tracing:
            jax.profiler.stop_trace()
