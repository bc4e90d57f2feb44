"""Sets a process up to train: whose the cores are, how many devices there are, how memory is kept.

On a CPU a step's arrays take hundreds of megabytes. Giving all of that back to the system after each step
took a seventh of the training time on two cores.
"""

from __future__ import annotations

import cv2

from fer_jax import allocator
from fer_jax.training import sharding

_ALLOCATOR = {
    allocator.ARENA_MAX: 1,  # one pool for all threads; only the first can grow without bounds
    allocator.MMAP_MAX: 0,  # large arrays come from the pool too
    allocator.TRIM_THRESHOLD: 2**31 - 1,
    allocator.TOP_PAD: 64 * 2**20,
}


def set_up_host(*, devices: int) -> None:
    """Call it before the process uses JAX.

    Args:
        devices: simulated ones on a CPU; 0: one a core.
    """
    keep_freed_memory()
    cv2.setNumThreads(1)  # the augmentation thread must not take the cores from XLA
    sharding.simulate_cpu_devices(devices)


def keep_freed_memory() -> bool:
    """Keeps what steps have freed for the next one; returns whether the system can be told so."""
    return allocator.set_allocator(_ALLOCATOR)
