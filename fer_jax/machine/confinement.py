"""Drops a process's privileges before it reads untrusted bytes: fully on Linux, partly elsewhere.

Results do not depend on it: a step that the system does not allow is skipped.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

_PR_SET_DUMPABLE = 4  # <linux/prctl.h>
_PR_SET_NO_NEW_PRIVS = 38
_CLONE_NEWUSER = 0x10000000  # <linux/sched.h>
_CLONE_NEWNET = 0x40000000

_HOME = Path(__file__).resolve().parents[2]  # the folder that holds our packages
# What a child process needs to find its interpreter, libraries and locale; no secrets.
_CONFINED = "FER_CONFINED"
_KEPT_VARIABLES = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "LD_LIBRARY_PATH",
    "PYTHONHOME",
    "SYSTEMROOT",
    "TMPDIR",
    "VIRTUAL_ENV",
)


def child_command(module: str, *arguments: object) -> list[str]:
    """Returns the command that runs one of our modules as a process; see `child_environment`."""
    # -P: files in the current folder cannot shadow modules.
    return [sys.executable, "-P", "-m", module, *map(str, arguments)]


def child_environment(**added: str) -> Mapping[str, str]:
    """Returns an environment for a child process: the few variables it needs, and those given."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    return {**kept, "PYTHONPATH": str(_HOME), _CONFINED: "1", **added}


def is_confined() -> bool:
    """Returns whether this is such a child process."""
    return _CONFINED in os.environ


def leave_network() -> bool:
    """Moves this process into an empty network namespace; call it before any thread starts.

    Returns:
        Whether the system allowed it: it does for root, or where users may create namespaces.
    """
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    return any(
        libc.unshare(flags) == 0 for flags in (_CLONE_NEWNET, _CLONE_NEWUSER | _CLONE_NEWNET)
    )


def drop_privileges() -> None:
    """Hides memory from the user's other processes and forbids gaining privileges."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_DUMPABLE, 0)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def leave_no_core_dumps() -> None:
    """Turns core dumps off, so that a crash writes no tokens or faces to disk."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def limit_memory(further_bytes: int) -> None:
    """Limits how many more bytes this process may map; beyond that, MemoryError."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        with open("/proc/self/statm", encoding="ascii") as file:
            mapped = int(file.read().split()[0]) * resource.getpagesize()
        limit = mapped + further_bytes
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


class CpuLimit:
    """Limits the CPU time of this process; the system ends it afterwards."""

    def __init__(self) -> None:
        """Sets no limit yet."""
        self._ends_s = 0.0

    def allow(self, further_s: float) -> None:
        """Allows that many more seconds of CPU time, and at most twice as many."""
        used_s = time.process_time()
        if used_s + further_s <= self._ends_s:
            return
        self._ends_s = used_s + 2 * further_s
        with contextlib.suppress(ImportError, OSError, ValueError):
            import resource

            limits = int(self._ends_s) + 1, resource.RLIM_INFINITY
            resource.setrlimit(resource.RLIMIT_CPU, limits)
