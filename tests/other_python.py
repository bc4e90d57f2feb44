"""A stand-in for a Python of another environment with packages that this machine lacks."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


def other_python(folder: Path, side: str) -> str:
    """Writes a program that claims to have every module and runs `side` for every script.

    Args:
        folder: where it is written.
        side: Python code that calls `serve`; `work` is an action that takes a moment.

    Returns:
        Its path.
    """
    script = folder / "side.py"
    script.write_text(
        f"import sys\nsys.path.insert(0, {str(BENCHMARKS)!r})\nfrom turns import serve\n\n"
        f"def work(count):\n    sum(range(10_000 * count))\n\n{side}\n"
    )
    path = folder / "python"
    path.write_text(
        f'#!/bin/sh\n[ "$1" = -c ] && exit 0\n'
        f'exec {shlex.quote(sys.executable)} {shlex.quote(str(script))} "$@"\n'
    )
    path.chmod(0o755)
    return str(path)
