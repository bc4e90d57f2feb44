"""Finds the images and videos a user names: files, folders, patterns, lists on standard input.

Paths are yielded as they are found, so that a list or tree of any length costs no memory. Unreadable
files are passed on: their reader gives the reason, and no input is lost.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from fer_jax.media.kinds import IMAGE_SUFFIXES, VIDEO_SUFFIXES, media_kind

# A list whose first names are separated by zero bytes has one within the longest path (PATH_MAX).
_FIRST_READ = 8192
_READ = 1 << 16


def expand_inputs(inputs: Iterable[str], stdin: BinaryIO | None = None) -> Iterator[Path]:
    """Yields the files that `inputs` name, in order.

    Args:
        inputs: a file is passed on whatever it holds, even if it does not exist. A folder means
            the images and videos below it, sorted by name, without names that start with a dot;
            links to folders are followed, once into each. A name with *, ? or [ that is not a file
            is a pattern (** for any depth). "-" is the list of paths on `stdin`.
        stdin: paths (of files or folders) separated by newlines, or by zero bytes as from
            `find -print0`; only read when "-" is named.
    """
    for text in inputs:
        if text == "-" and stdin is not None:
            for listed in listed_names(stdin):
                yield from _below(Path(os.fsdecode(listed)))
        elif any(sign in text for sign in "*?[") and not os.path.lexists(text):
            yield from _matching(text)
        else:
            yield from _below(Path(text))


def common_parent(inputs: Iterable[str]) -> Path:
    """Returns the deepest folder above everything that `inputs` name, as an absolute path.

    A folder named "photos" is in its parent; "." and ".." mean their contents. What a list on
    standard input will name is unknown: it counts as the current folder.
    """
    folders = [os.path.abspath(_folder_of(text)) for text in inputs]
    try:
        return Path(os.path.commonpath(folders or [os.curdir])).absolute()
    except ValueError:  # on two drives
        return Path.cwd()


def _folder_of(text: str) -> str:
    if text == "-":
        return os.curdir
    if any(sign in text for sign in "*?[") and not os.path.lexists(text):
        text = text[: min(text.index(sign) for sign in "*?[" if sign in text)] + "*"
    return text if Path(text).name in ("", os.pardir) else os.path.dirname(text.rstrip("/"))


def _matching(pattern: str) -> Iterator[Path]:
    found = False
    for name in sorted(glob.iglob(pattern, recursive=True)):
        path = Path(name)
        # "**" also matches intermediate folders, whose files it matches anyway.
        if "**" in pattern and os.path.isdir(path):
            continue
        found = True
        yield from _below(path)
    if not found:
        yield Path(pattern)


def _below(path: Path) -> Iterator[Path]:
    """Yields the file itself, or the media below a folder, depth first and sorted by name.

    A name that the system refuses is a file: its reader reports the reason.
    """
    if not os.path.isdir(path):
        yield path
        return
    waiting = [path]
    been_in: set[tuple[int, int]] = set()  # links may lead back up, or twice to the same folder
    while waiting:
        path = waiting.pop()
        if not os.path.isdir(path):
            if _is_media(path):
                yield path
            continue
        try:
            status = path.stat()
            if (status.st_dev, status.st_ino) in been_in:
                continue
            been_in.add((status.st_dev, status.st_ino))
            names = [name for name in os.listdir(path) if not name.startswith(".")]
        except OSError:
            yield path  # its reader reports the reason
            continue
        waiting.extend(path / name for name in sorted(names, reverse=True))


def _is_media(path: Path) -> bool:
    suffix = path.suffix.lower()
    return suffix in IMAGE_SUFFIXES or suffix in VIDEO_SUFFIXES or media_kind(path) is not None


def listed_names(stream: BinaryIO) -> Iterator[bytes]:
    """Yields the names of a list, see `expand_inputs`, as it arrives."""
    rest = stream.read(_FIRST_READ)
    separator = b"\0" if b"\0" in rest else b"\n"
    while rest:
        *names, rest = rest.split(separator)
        for name in names:
            yield from _name(name, separator)
        more = stream.read(_READ)
        if not more:
            yield from _name(rest, separator)
            return
        rest += more


def _name(name: bytes, separator: bytes) -> Iterator[bytes]:
    name = name.removesuffix(b"\r") if separator == b"\n" else name
    if name:
        yield name
