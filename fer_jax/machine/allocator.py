"""Tunes glibc's allocator to keep freed memory.

By default glibc returns large blocks to the system at once, and the system zeroes each page before it
hands it out again. Work that allocates the same blocks over and over spends much of its time on that.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Mapping

# From glibc's malloc.h.
ARENA_MAX = -8  # number of arenas that threads share
MMAP_MAX = -4  # number of blocks that may be mapped outside the arenas
MMAP_THRESHOLD = -3  # bytes from which a block is mapped
TOP_PAD = -2  # bytes by which an arena grows
TRIM_THRESHOLD = -1  # free bytes at the end of an arena that are returned to the system

_HIGHEST_MMAP_THRESHOLD = 32 << 20  # the largest value that glibc accepts


def set_allocator(options: Mapping[int, int]) -> bool:
    """Tunes the allocator of this process; threads that already run keep their arenas.

    Returns:
        Whether it was tuned; only glibc supports it.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return sum(mallopt(option, value) for option, value in options.items()) == len(options)


def keep_freed(most_bytes: int) -> bool:
    """Keeps up to that many freed bytes for reuse; returns what `set_allocator` does."""
    threshold = min(most_bytes, _HIGHEST_MMAP_THRESHOLD)
    return set_allocator({MMAP_THRESHOLD: threshold, TRIM_THRESHOLD: most_bytes})
