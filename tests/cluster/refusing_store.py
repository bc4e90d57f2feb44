"""An in-memory fsspec cloud storage with a client that raises any error, mounted at az://."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, ClassVar

import fsspec
from fsspec.implementations.memory import MemoryFile, MemoryFileSystem
from fsspec.registry import _registry

from fer_jax.cluster import storage


class StoreError(Exception):
    """Like Azure's HttpResponseError, neither an OSError nor a ValueError."""


class RefusingStore(MemoryFileSystem):
    """Files in memory.

    Attributes:
        refused: the error to raise, by call ("start", "info", "find", "mkdir", "open", "read", "write",
            "rm") and last part of the path.
    """

    protocol = "az"
    cachable = False
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    refused: ClassVar[dict[tuple[str, str], Exception]] = {}

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.check("start", "")

    @classmethod
    def check(cls, call: str, path: str) -> None:
        if error := cls.refused.get((call, path.rpartition("/")[2])):
            raise error

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return super()._strip_protocol(path.removeprefix("az://"))

    def info(self, path: str, **options: Any) -> dict[str, Any]:
        self.check("info", path)
        return super().info(path, **options)

    def find(self, path: str, *arguments: Any, **options: Any) -> Any:
        self.check("find", path)
        return super().find(path, *arguments, **options)

    def mkdir(self, path: str, *arguments: Any, **options: Any) -> None:
        self.check("mkdir", path)
        super().mkdir(path, *arguments, **options)

    def rm(self, path: str, *arguments: Any, **options: Any) -> None:
        self.check("rm", path)
        super().rm(path, *arguments, **options)

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        self.check("open", path)
        file = super()._open(path, mode, **options)
        if "r" in mode:
            return _Checked(path, file.getvalue())
        self.store[file.path] = written = _Checked(file.path, options.get("data") or b"")
        return written


class _Checked(MemoryFile):
    """A file that refuses its first read or write; written bytes stay, truncated."""

    def __init__(self, path: str, data: bytes = b"") -> None:
        super().__init__(path=path, data=data)

    def read(self, *arguments: Any) -> bytes:
        RefusingStore.check("read", self.path)
        return super().read(*arguments)

    def write(self, data: Any) -> int:
        try:
            RefusingStore.check("write", self.path)
        except Exception:
            super().write(bytes(data)[:9])
            raise
        return super().write(data)


@contextlib.contextmanager
def refusing_store() -> Iterator[type[RefusingStore]]:
    """Mounts an empty store at az://."""
    fsspec.register_implementation("az", RefusingStore, clobber=True)
    storage._opened.cache_clear()
    try:
        yield RefusingStore
    finally:
        _registry.pop("az")
        storage._opened.cache_clear()
        for kept in (RefusingStore.store, RefusingStore.refused):
            kept.clear()
        RefusingStore.pseudo_dirs[:] = [""]
