"""Checks the outputs of commands before work begins, so that mistakes do not surface afterwards."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from fer_jax.errors import FerError, OutputError
from fer_jax.machine.terminal import printable

FULL_DISK = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}  # not every system has both


def try_file(path: Path, *, flag: str) -> None:
    """Checks that `path` can be written, by writing a file next to it and removing that.

    Args:
        path: an existing file is left unchanged.
        flag: what names it on the command line.

    Raises:
        FerError: a folder or a device is in its place, its folder is missing or refuses files.
    """
    shown = f"{flag} {printable(path)}"
    # os.path answers even if the system refuses a name, where pathlib raises; `_try` gives the reason.
    if os.path.isdir(path):
        raise FerError(f"{shown}: is a folder; name a file")
    if os.path.exists(path) and not os.path.isfile(path):
        raise FerError(f"{shown}: is not a regular file; name another")
    if is_missing(path.parent):
        raise FerError(
            f"{shown}: the folder {printable(path.parent)} does not exist; create it first"
        )
    _try(partial_path(path), shown)


def is_missing(folder: Path) -> bool:
    """Whether there is no such folder; False if the system does not report it."""
    try:
        return not stat.S_ISDIR(folder.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False


def try_folder(path: Path, *, flag: str) -> None:
    """Makes the folder `path` with those above it, and checks that it takes files.

    Raises:
        FerError: it cannot be made, or no file can be written in it.
    """
    shown = f"{flag} {printable(path)}"
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FerError(f"{shown}: cannot be made ({reason(error)}); name another folder") from error
    _try(path / f".{os.getpid()}.partial", shown)


def check_distinct(named: Mapping[str, Path]) -> None:
    """Checks that no two outputs are one file, be it under other names.

    Args:
        named: what each flag names.

    Raises:
        FerError: two are one.
    """
    before: dict[str, Path] = {}
    for flag, path in named.items():
        for other, known in before.items():
            if same_file(path, known):
                raise FerError(
                    f"{other} {printable(known)} and {flag} {printable(path)}: are the same file; "
                    "name two"
                )
        before[flag] = path


def same_file(one: Path, other: Path) -> bool:
    """Whether two names lead to one file, by links of either kind; it need not be there yet."""
    if os.path.realpath(one) == os.path.realpath(other):
        return True
    try:
        return one.samefile(other)
    except OSError:
        return False


def partial_path(path: Path) -> Path:
    """Returns where this process writes what is to become `path`."""
    return path.with_name(f".{path.name}.{os.getpid()}.partial")


def output_error(path: Path | str, error: OSError) -> OutputError:
    """Returns what to say when `path` could not be written."""
    if error.errno in FULL_DISK:
        text = "the disk is full; free some room and run the same command again"
    else:
        text = f"cannot be written ({reason(error)}); name another place"
    return OutputError(f"{printable(path)}: {text}")


def reason(error: OSError) -> str:
    """Returns the system's reason, as the middle of a sentence."""
    text = error.strerror or str(error)
    return text[:1].lower() + text[1:]


def _try(beside: Path, shown: str) -> None:
    try:
        try:
            with beside.open("xb") as file:
                file.write(b"\0")
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        if error.errno in FULL_DISK:
            raise FerError(f"{shown}: the disk is full; free some room") from error
        raise FerError(
            f"{shown}: cannot be written ({reason(error)}); name another place"
        ) from error
