"""Sets a process up to train: whose the cores are, how many devices there are, what becomes of memory.

On a CPU a step's arrays take hundreds of megabytes. As glibc is set, all of that goes back to the
system after each step and is handed out again page by page in the next, which took a seventh of the
training time on two cores.
"""

from __future__ import annotations

import ctypes
import platform

import cv2

from fer_jax.training import sharding

# From glibc's malloc.h: option, value.
_OPTIONS = (
    (-8, 1),  # M_ARENA_MAX: one pool for all threads; only the first can grow without bounds
    (-4, 0),  # M_MMAP_MAX: large arrays come from the pool too
    (-1, 2**31 - 1),  # M_TRIM_THRESHOLD: what is freed at its end stays, up to 2 GiB
    (-2, 64 * 2**20),  # M_TOP_PAD: it grows by so much at a time
)


def set_up_host(*, devices: int) -> None:
    """Call it before the process uses JAX.

    Args:
        devices: simulated ones on a CPU; 0: one a core.
    """
    keep_freed_memory()
    cv2.setNumThreads(1)  # the augmentation thread must not take the cores from XLA
    sharding.simulate_cpu_devices(devices)


def keep_freed_memory() -> bool:
    """Sets this process's allocator; threads that started before keep their own pools.

    Returns:
        Whether it was done: only glibc can be told so.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return sum(mallopt(option, value) for option, value in _OPTIONS) == len(_OPTIONS)
