"""Files in cloud storage and elsewhere, named by URIs and opened by PyArrow's filesystems or fsspec."""

from __future__ import annotations

import fnmatch
import functools
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from fer_jax.errors import FerError
from fer_jax.machine.terminal import printable
from fer_jax.media.images import MediaError
from fer_jax.media.kinds import IMAGE_SUFFIXES, VIDEO_SUFFIXES

if TYPE_CHECKING:
    from pyarrow.fs import FileInfo, FileSystem

SCHEMES = ("s3", "gs", "gcs", "az", "abfs", "abfss", "hdfs", "file", "memory")
_URI = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_PASSWORD = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://[^/@]*:[^/@]*@")
_COPY_BYTES = 1 << 20


class Location(NamedTuple):
    """A filesystem, and the path of a file or folder in it."""

    system: FileSystem
    path: str


def is_uri(text: str) -> bool:
    """Returns whether a name is a URI, not a file of this machine."""
    return _URI.match(text) is not None


def place(uri: str) -> Location:
    """Returns where a URI, or a plain path, leads; connects to nothing yet.

    Raises:
        FerError: another scheme, a password in it, or a package that is not installed.
    """
    scheme = _URI.match(uri)
    if scheme is None:
        return Location(_system("file://"), str(Path(uri).absolute()))
    if scheme[1].lower() not in SCHEMES:
        raise FerError(f"{printable(shown(uri))}: expected one of {', '.join(SCHEMES)}://")
    if _PASSWORD.match(uri):
        raise FerError(
            f"{scheme[1]}://...: leave the password out, rows would show it; "
            "the environment or the machine's role gives it"
        )
    bare, _, query = uri.partition("?")
    root, path = re.fullmatch(r"(\w[^:]*://[^/]*)(.*)", bare, re.DOTALL).groups()  # pyright: ignore
    system, base = _opened(root, query)
    return Location(system, base.rstrip("/") + path)


@functools.lru_cache(maxsize=64)
def _opened(root: str, query: str) -> tuple[FileSystem, str]:
    """Returns the filesystem of a bucket and the bucket's path in it."""
    import pyarrow as pa
    from pyarrow.fs import FileSystem, FSSpecHandler, PyFileSystem

    uri = f"{root}?{query}" if query else root
    if root == "file://":
        return _system(root), ""
    try:
        if not root.startswith(("az:", "memory:")):
            return FileSystem.from_uri(uri)
        import fsspec

        system, base = fsspec.core.url_to_fs(root)
        return PyFileSystem(FSSpecHandler(system)), base
    except (ImportError, ValueError, pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise FerError(f"{printable(root)}: cannot be opened ({reason})") from error


@functools.cache
def _system(root: str) -> FileSystem:
    del root
    from pyarrow.fs import LocalFileSystem

    return LocalFileSystem()


def shown(uri: str) -> str:
    """Returns a URI as rows name it: without options of the connection."""
    return uri.partition("?")[0] if is_uri(uri) else uri


def listed(uri: str) -> Iterator[str]:
    """Yields the URIs of the file, the images and videos below a folder, or the matches of a pattern.

    They are sorted by name; names that start with a dot are left out. A file that is not there is
    passed on: its reader gives the reason.

    Raises:
        FerError: the storage cannot be reached.
    """
    bare, mark, query = uri.partition("?") if "://" in uri else (uri, "", "")
    pattern = None
    if any(sign in bare for sign in "*["):
        pattern = bare
        bare = bare[: min(bare.find(sign) for sign in "*[" if sign in bare)].rpartition("/")[0]
    system, path = place(f"{bare}{mark}{query}")
    found = _below(system, path, uri)
    if found is None:
        yield uri
        return
    for info in found:
        name = bare.rstrip("/") + "/" + info.path[len(path.rstrip("/")) :].lstrip("/")
        wanted = fnmatch.fnmatchcase(name, pattern) if pattern else _is_media(name)
        if wanted and "/." not in name[len(bare) :]:
            yield f"{name}{mark}{query}"


def _below(system: FileSystem, path: str, uri: str) -> list[FileInfo] | None:
    from pyarrow.fs import FileSelector, FileType

    try:
        if system.get_file_info(path).type != FileType.Directory:
            return None
        found = system.get_file_info(FileSelector(path, recursive=True))
    except OSError as error:
        raise FerError(f"{printable(shown(uri))}: {_reason(error)}") from error
    return sorted((one for one in found if one.is_file), key=lambda one: one.path.split("/"))


def _is_media(name: str) -> bool:
    return Path(name).suffix.lower() in IMAGE_SUFFIXES | VIDEO_SUFFIXES


def byte_count(uri: str) -> int:
    """Returns the size of a file in bytes; 0 if it is unknown."""
    try:
        if not is_uri(uri):  # PyArrow takes no names that are not UTF-8
            return os.stat(uri).st_size
        system, path = place(uri)
        return system.get_file_info(path).size or 0
    except OSError:
        return 0


def read(uri: str, *, most: int) -> bytes:
    """Returns the bytes of a file.

    Raises:
        MediaError: missing, unreadable, or of more than `most` bytes.
    """
    system, path = place(uri)
    try:
        with system.open_input_stream(path) as stream:
            data = stream.read(most + 1)
    except OSError as error:
        raise MediaError(Path(shown(uri)), _reason(error)) from error
    if len(data) > most:
        raise MediaError(Path(shown(uri)), f"the file is larger than {most >> 20} MiB")
    return data


def fetch(uri: str, folder: Path) -> Path:
    """Copies a file into a folder of this machine, for readers that need one.

    Raises:
        MediaError: missing, unreadable.
    """
    system, path = place(uri)
    copy = folder / f"{len(list(folder.iterdir()))}{Path(path).suffix}"
    try:
        with system.open_input_stream(path) as stream, copy.open("wb") as file:
            while chunk := stream.read(_COPY_BYTES):
                file.write(chunk)
    except OSError as error:
        raise MediaError(Path(shown(uri)), _reason(error)) from error
    return copy


def _reason(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    text = " ".join((error.strerror or str(error)).split())[:200]
    return text[:1].lower() + text[1:] if text else type(error).__name__
