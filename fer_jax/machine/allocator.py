"""What becomes of memory that was freed: glibc's allocator, set for the work at hand.

As it comes, glibc gives large pieces back to the system at once and asks for them again page by page,
each page with zeros in it. Where the same pieces are needed over and over that takes a good part of the
time.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Mapping

# From glibc's malloc.h.
ARENA_MAX = -8  # how many pools threads share
MMAP_MAX = -4  # how many pieces may come from outside of the pools
MMAP_THRESHOLD = -3  # bytes from which on they may
TOP_PAD = -2  # bytes by which a pool grows
TRIM_THRESHOLD = -1  # bytes at a pool's end from which on they are given back

_HIGHEST_MMAP_THRESHOLD = 32 << 20  # that glibc takes


def set_allocator(options: Mapping[int, int]) -> bool:
    """Sets this process's allocator; threads that started before keep their own pools.

    Returns:
        Whether it was done: only glibc can be told so.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return sum(mallopt(option, value) for option, value in options.items()) == len(options)


def keep_freed(most_bytes: int) -> bool:
    """Keeps up to so many freed bytes for the next time; returns as `set_allocator`."""
    threshold = min(most_bytes, _HIGHEST_MMAP_THRESHOLD)
    return set_allocator({MMAP_THRESHOLD: threshold, TRIM_THRESHOLD: most_bytes})
