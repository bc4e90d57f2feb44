"""What this machine's processor says of itself, where the system tells."""

from __future__ import annotations

import functools
import platform
from pathlib import Path

_BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}


def cpu_name() -> str:
    """Returns what the processor calls itself ("AMD EPYC 7763"), or else its architecture."""
    return next(filter(None, _values("model name")), platform.machine())


def multiplies_bfloat16() -> bool:
    """Whether it is known to have instructions for products of bfloat16 numbers; only x86's are."""
    return any(_BFLOAT16_FLAGS & set(flags.split()) for flags in _values("flags"))


@functools.cache
def _values(key: str) -> tuple[str, ...]:
    """Returns what Linux tells under this name, core by core."""
    try:
        text = Path("/proc/cpuinfo").read_text(errors="replace")
    except OSError:
        return ()
    return values_in(text, key)


def values_in(text: str, key: str) -> tuple[str, ...]:
    """Returns what a text like Linux's /proc/cpuinfo has under this name, core by core."""
    pairs = (line.partition(":") for line in text.splitlines())
    return tuple(value.strip() for name, _, value in pairs if name.strip() == key)
