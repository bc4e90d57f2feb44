"""How many files and sockets this process may have open, and how many it has."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

try:
    import resource
except ImportError:  # Windows, which sets no such limit
    resource = None

# More is of no use here, and where the hard limit is infinite some systems refuse to go there.
_MOST = 65536
_OPEN_FILES = Path("/dev/fd")


def raise_descriptor_limit() -> None:
    """Raises the limit on open files as far as the system lets an ordinary process, up to 65,536."""
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST if hard == resource.RLIM_INFINITY else min(hard, _MOST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):  # the old limit has to do
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def free_descriptors() -> int:
    """Returns how many more files and sockets can be opened."""
    if resource is None:
        return _MOST
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = _MOST if soft == resource.RLIM_INFINITY else soft
    return max(0, limit - len(os.listdir(_OPEN_FILES)))
