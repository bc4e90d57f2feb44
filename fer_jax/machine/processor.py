"""The processor's name, and how many of its cores this process may use."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def cpu_name() -> str:
    """Returns the processor's name ("AMD EPYC 7763"), or its architecture where none is known."""
    try:
        text = Path("/proc/cpuinfo").read_text(errors="replace")
    except OSError:
        text = ""
    return model_name(text) or platform.machine()


def model_name(cpuinfo: str) -> str | None:
    """Returns the first model name of a text such as Linux's /proc/cpuinfo."""
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name" and value.strip():
            return value.strip()
    return None


def usable_cores() -> int:
    """Returns how many cores this process may use, by its affinity where the system reports it."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
