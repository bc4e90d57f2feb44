"""Keeps each camera's privacy over restarts: faces that an operator hid stay hidden after a crash.

A camera whose faces are hidden has a small file; lifting its privacy removes the file.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import typing
from collections.abc import Callable
from pathlib import Path

from fer_jax.errors import FerError
from fer_jax.machine.files import write_json
from fer_jax.machine.json_files import read_json
from server.settings import Privacy, Source

_STRICTNESS: tuple[Privacy, ...] = typing.get_args(Privacy)  # "none" first

_LOG = logging.getLogger(__name__)


class KeptPrivacy:
    """The files of a server's cameras; belongs to the event loop's thread."""

    def __init__(self, folder: Path | None) -> None:
        """`folder` is made with the first file; None keeps nothing."""
        self._folder = folder
        self._writing = asyncio.Lock()

    async def at_start(self, source: Source, *, least: Privacy) -> Privacy:
        """Returns how a camera starts: as it was left, and at least as strict as `least`."""
        if self._folder is None:
            return least
        kept = await asyncio.to_thread(_read, self._folder / _name(source))
        return kept if _STRICTNESS.index(kept) > _STRICTNESS.index(least) else least

    async def keep(self, source: Source, privacy: Callable[[], Privacy]) -> None:
        """Writes what `privacy` is now; a failure is logged."""
        if self._folder is None:
            return
        async with self._writing:
            try:
                await asyncio.to_thread(_write, self._folder / _name(source), source, privacy())
            except (FerError, OSError) as error:
                _LOG.warning(
                    "%s: its privacy will not be kept over a restart (%s)", source.name, error
                )


def _name(source: Source) -> str:
    """Returns a file's name: another camera of the same name has another file."""
    camera = f"{source.name}\n{source.masked}"
    return hashlib.sha256(camera.encode("utf-8", "surrogateescape")).hexdigest()[:32] + ".json"


def _read(path: Path) -> Privacy:
    try:
        return _STRICTNESS[_STRICTNESS.index(read_json(path)["privacy"])]
    except FileNotFoundError:
        return "none"
    except (OSError, ValueError, KeyError, TypeError) as error:
        _LOG.warning("%s: cannot be read (%s); the camera's image is not shown", path, error)
        return _STRICTNESS[-1]


def _write(path: Path, source: Source, privacy: Privacy) -> None:
    if privacy == "none":
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_json(path, {"camera": source.name, "privacy": privacy})
