"""JAX's compiler as inference sees it: a private cache on disk, and proof that nothing compiles late."""

from __future__ import annotations

import functools
import os
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import jax

_YNN = "xla_cpu_experimental_ynn_fusion_type"
_CPU_OPTIONS = {_YNN: ""}  # no fusion is YNN's
_BFLOAT16_CPU_OPTIONS = {_YNN: "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT"}
# What an XLA answers that does not know them.
_UNKNOWN = ("No such compile option", "is not a valid enum value")

Precision = Literal["float32", "bfloat16"]  # of what is multiplied; sums are float32

_COMPILED = "/jax/core/compile/backend_compile_duration"  # also when the cache had the program


def use_private_cache() -> Path | None:
    """Lets this process keep compiled programs in $FER_CACHE_DIR/xla or ~/.cache/fer_jax/xla.

    The folder is its owner's alone: what lies in it is executed. A cache that the process or its
    environment has chosen already stays as it is.

    Returns:
        The folder; None if another cache is in use or the folder can not be made private.
    """
    if getattr(jax.config, "jax_compilation_cache_dir", None):
        return None
    base = Path(os.environ.get("FER_CACHE_DIR") or "~/.cache/fer_jax").expanduser()
    folder = base.absolute() / "xla"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_uid != os.getuid():
            return None
        folder.chmod(0o700)
    except OSError:
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    # JAX leaves out what compiles within a second, which is each bucket of the default network.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    return folder


def leave_cores_for_others() -> None:
    """Lets XLA compute with half of this process's cores; call it before the process uses JAX.

    A server has other work for them. On two cores, four faces take as long with one of XLA's threads as
    with two, and a third less CPU time. Where $NPROC says how many threads there are, that holds.
    """
    os.environ.setdefault("NPROC", str(max(1, cores() // 2)))


def threads() -> int:
    """Returns how many threads XLA computes with on this process's CPU."""
    told = os.environ.get("NPROC", "")
    return max(1, int(told)) if told.isdecimal() else cores()


def cores() -> int:
    """Returns how many this process may use, where the system tells."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def compile_inference(lowered: Any, *, platform: str, precision: Precision = "float32") -> Any:
    """Compiles a lowered function as inference of a few rows runs fastest.

    On a CPU, XLA's newer fusions cost small convolutions up to half their time (training gains by
    them), but matrix products of bfloat16 numbers are fast by them only; an XLA that does not know how
    to choose makes its own choice.

    Args:
        lowered: a `jax.stages.Lowered`.
        platform: of the devices it is for, "cpu" or another.
        precision: that its matrix products were written with.
    """
    if platform != "cpu":
        return lowered.compile()
    options = _CPU_OPTIONS if precision == "float32" else _BFLOAT16_CPU_OPTIONS
    try:
        return lowered.compile(compiler_options=options)
    except jax.errors.JaxRuntimeError as error:
        if not any(reason in str(error) for reason in _UNKNOWN):
            raise
        return lowered.compile()


class CompileCounter:
    """Counts the programs a thread compiles inside `with counter:`; any number of threads may."""

    def __init__(self) -> None:
        """Starts at zero."""
        self.count = 0
        self._lock = threading.Lock()
        _listen()

    def __enter__(self) -> None:
        _of_thread.counter = self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _of_thread.counter = None

    def add(self) -> None:
        """Counts one more."""
        with self._lock:
            self.count += 1


class _OfThread(threading.local):
    counter: CompileCounter | None = None


_of_thread = _OfThread()


@functools.cache
def _listen() -> None:
    """Once a process: JAX keeps its listeners for good."""

    def on_duration(event: str, duration_secs: float, **kwargs: str | int) -> None:
        del duration_secs, kwargs
        if event == _COMPILED and _of_thread.counter is not None:
            _of_thread.counter.add()

    jax.monitoring.register_event_duration_secs_listener(on_duration)
