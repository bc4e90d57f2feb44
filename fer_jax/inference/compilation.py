"""Compilation for inference: a private cache on disk, CPU options, and a count of compilations."""

from __future__ import annotations

import functools
import os
import threading
from pathlib import Path
from types import TracebackType

import jax
from jax.stages import Compiled, Lowered

from fer_jax.machine.cache_folder import cache_folder
from fer_jax.machine.processor import usable_cores

_CPU_OPTIONS: dict[str, str | bool] = {"xla_cpu_experimental_ynn_fusion_type": ""}  # no YNN fusions
# Errors of an XLA that does not know them.
_UNKNOWN = ("No such compile option", "is not a valid enum value")

_COMPILED = "/jax/core/compile/backend_compile_duration"  # also when the cache had the program


def use_private_cache() -> Path | None:
    """Makes this process cache compiled programs in $FER_CACHE_DIR/xla or ~/.cache/fer_jax/xla.

    Only its owner can access the folder, because its content is executed. A cache already chosen by the
    process or its environment is kept.

    Returns:
        The folder; None if another cache is in use or the folder cannot be made private.
    """
    if getattr(jax.config, "jax_compilation_cache_dir", None):
        return None
    folder = cache_folder("xla").absolute()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if hasattr(os, "getuid") and folder.stat().st_uid != os.getuid():
            return None
        folder.chmod(0o700)
    except OSError:
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    # By default JAX skips programs that compile within a second, such as the default network's buckets.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    return folder


def leave_cores_for_others() -> None:
    """Limits XLA to half of this process's cores; call it before the process uses JAX.

    A server has other work for the rest. On two cores, four faces take as long with one XLA thread as
    with two, and a third less CPU time. If $NPROC is set, it is used instead.
    """
    os.environ.setdefault("NPROC", str(max(1, usable_cores() // 2)))


def threads() -> int:
    """Returns the number of threads that XLA uses on this process's CPU."""
    wanted = os.environ.get("NPROC", "")
    return max(1, int(wanted)) if wanted.isdecimal() else usable_cores()


def compile_inference(lowered: Lowered, *, platform: str) -> Compiled:
    """Compiles a lowered function with the options that are fastest for inference on a few rows.

    On a CPU, XLA's YNN fusions cost small convolutions up to half their time, although they speed up
    training. An XLA that does not know the option uses its defaults.

    Args:
        lowered: the traced function.
        platform: of the target devices, "cpu" or another.
    """
    if platform != "cpu":
        return lowered.compile()
    try:
        return lowered.compile(compiler_options=_CPU_OPTIONS)
    except jax.errors.JaxRuntimeError as error:
        if not any(reason in str(error) for reason in _UNKNOWN):
            raise
        return lowered.compile()


class CompileCounter:
    """Counts the programs a thread compiles inside `with counter:`; may be used by many threads."""

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
        """Counts one program."""
        with self._lock:
            self.count += 1


class _OfThread(threading.local):
    counter: CompileCounter | None = None


_of_thread = _OfThread()


@functools.cache
def _listen() -> None:
    """Registers the listener once per process, because JAX never removes listeners."""

    def on_duration(event: str, duration_secs: float, **kwargs: str | int) -> None:
        del duration_secs, kwargs
        if event == _COMPILED and _of_thread.counter is not None:
            _of_thread.counter.add()

    jax.monitoring.register_event_duration_secs_listener(on_duration)
