"""Completion of commands and flags in the shell, by argcomplete where it is installed.

The shell runs the command with `_ARGCOMPLETE` in its environment and the line so far in `COMP_LINE`.
"""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Container


def complete(parser: argparse.ArgumentParser) -> None:
    """Prints completions and ends the process if the shell requests them; otherwise does nothing."""
    if "_ARGCOMPLETE" in os.environ:
        with contextlib.suppress(ImportError):
            import argcomplete

            argcomplete.autocomplete(parser)


def command_to_complete(commands: Container[str]) -> str | None:
    """Returns the command whose flags the shell requests; None if it requests something else."""
    if "_ARGCOMPLETE" not in os.environ:
        return None
    line = os.environ.get("COMP_LINE", "")
    words = line[: int(os.environ.get("COMP_POINT", len(line)))].split(" ")
    if len(words) < 3 or words[1] not in commands:
        return None
    os.environ["_ARGCOMPLETE"] = "2"  # the second word is the program that is completed
    return words[1]
