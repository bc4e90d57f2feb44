"""Files in cloud storage and elsewhere, named by URIs and opened by PyArrow's filesystems or fsspec."""

from __future__ import annotations

import contextlib
import fnmatch
import functools
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fer_jax.errors import FerError
from fer_jax.machine.outputs import output_error
from fer_jax.machine.terminal import printable
from fer_jax.media.images import MediaError
from fer_jax.media.kinds import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from fer_jax.media.shards import is_shard

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

SCHEMES = ("s3", "gs", "gcs", "az", "abfs", "abfss", "hdfs", "file", "memory")
_URI = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_PASSWORD = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://[^/@]*:[^/@]*@")
_QUERY = re.compile(r"(://[^\s?]*\?)[^\s'\")>]*")
_COPY_BYTES = 1 << 20
_MOST_REASON = 200


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
    from pyarrow.fs import FileSystem

    uri = f"{root}?{query}" if query else root
    if root == "file://":
        return _system(root), ""
    with errors_as(lambda e: FerError(f"{printable(root)}: cannot be opened ({reason_of(e)})")):
        if not root.startswith(("az:", "memory:")):
            return FileSystem.from_uri(uri)
        import fsspec

        system, base = fsspec.core.url_to_fs(root)
        return _of_fsspec(system), base


@functools.cache
def _system(root: str) -> FileSystem:
    del root
    from pyarrow.fs import LocalFileSystem

    return LocalFileSystem()


def _of_fsspec(system: Any) -> FileSystem:
    from pyarrow import PythonFile
    from pyarrow.fs import FSSpecHandler, PyFileSystem

    class Handler(FSSpecHandler):
        """PyArrow's own asks fsspec first whether there is such a file; a refusal would be a no."""

        def open_input_stream(self, path: str) -> PythonFile:
            return PythonFile(self.fs.open(path, mode="rb"), mode="r")

        open_input_file = open_input_stream

    return PyFileSystem(Handler(system))


@contextlib.contextmanager
def errors_as(error_of: Callable[[Exception], FerError]) -> Iterator[None]:
    """Turns what a filesystem's client raises within into an error of ours.

    Any call may raise anything, a stream's `close` included. PyArrow raises OSError and ArrowException,
    s3fs OSError and botocore's ClientError, gcsfs HttpError, adlfs Azure's HttpResponseError, all of
    them ValueError, and KeyError or TypeError where a server answers strangely. They share no class
    but Exception, so nothing belongs within but such calls.

    Args:
        error_of: returns the error to raise; `reason_of` describes the client's own.
    """
    try:
        yield
    except Exception as error:
        raise error_of(error) from error


def reason_of(error: Exception) -> str:
    """Returns one line on what a client refused, without the query of a URL: it may be signed."""
    if isinstance(error, FileNotFoundError):
        return "no such file"
    text = (isinstance(error, OSError) and error.strerror) or str(error)
    text = printable(_QUERY.sub(r"\1...", " ".join(text.split()))[:_MOST_REASON])
    if not isinstance(error, OSError | ImportError):
        return f"{type(error).__name__}: {text}" if text else type(error).__name__
    return text[:1].lower() + text[1:] if text else type(error).__name__


def shown(uri: str) -> str:
    """Returns a URI as rows name it: without options of the connection."""
    return uri.partition("?")[0] if is_uri(uri) else uri


def listed(uri: str) -> Iterator[str]:
    """Yields the URIs of the file, the images and videos below a folder, or the matches of a pattern.

    They are sorted by name; names that start with a dot are left out. A file that is not there is
    passed on, and so is one that its name shows to be an image, a video or a shard, without asking the
    storage: its reader gives the reason.

    Raises:
        FerError: the storage cannot be reached, or does not list.
    """
    bare, mark, query = uri.partition("?") if "://" in uri else (uri, "", "")
    pattern = None
    if any(sign in bare for sign in "*["):
        pattern = bare
        bare = bare[: min(bare.find(sign) for sign in "*[" if sign in bare)].rpartition("/")[0]
    system, path = place(f"{bare}{mark}{query}")
    is_file = pattern is None and not bare.endswith("/") and (_is_media(bare) or is_shard(bare))
    found = None if is_file else _below(system, path, uri)
    if found is None:
        yield uri
        return
    while found:
        name = bare.rstrip("/") + "/" + found.pop()[len(path.rstrip("/")) :].lstrip("/")
        wanted = fnmatch.fnmatchcase(name, pattern) if pattern else _is_media(name)
        if wanted and "/." not in name[len(bare) :]:
            yield f"{name}{mark}{query}"


def _below(system: FileSystem, path: str, uri: str) -> list[str] | None:
    """Returns the paths of all files below a folder, the last one first; None if it is not a folder.

    PyArrow gives a folder's files all at once. Only their names are kept, until they are returned.
    """
    from pyarrow.fs import FileSelector, FileType

    with errors_as(lambda e: FerError(f"{printable(shown(uri))}: {reason_of(e)}")):
        if system.get_file_info(path).type != FileType.Directory:
            return None
        found = system.get_file_info(FileSelector(path, recursive=True))
    paths = [one.path for one in found if one.is_file]
    del found
    paths.sort(key=lambda each: each.replace("/", "\0"), reverse=True)  # as a walk meets them
    return paths


def _is_media(name: str) -> bool:
    return Path(name).suffix.lower() in IMAGE_SUFFIXES | VIDEO_SUFFIXES


def byte_count(uri: str) -> int:
    """Returns the size of a file in bytes; 0 if it is unknown, for which its reader gives the reason."""
    try:
        if not is_uri(uri):  # PyArrow takes no names that are not UTF-8
            return os.stat(uri).st_size
        system, path = place(uri)
        with errors_as(_unreadable(uri)):
            return system.get_file_info(path).size or 0
    except (OSError, MediaError):
        return 0


def read(uri: str, *, most: int) -> bytes:
    """Returns the bytes of a file.

    Raises:
        MediaError: missing, refused, or of more than `most` bytes.
    """
    system, path = place(uri)
    with errors_as(_unreadable(uri)), system.open_input_stream(path) as stream:
        data = stream.read(most + 1)
    if len(data) > most:
        raise MediaError(Path(shown(uri)), f"the file is larger than {most >> 20} MiB")
    return data


def fetch(uri: str, folder: Path) -> Path:
    """Copies a file into a folder of this machine, for readers that need one.

    Raises:
        MediaError: missing, refused.
        OutputError: this machine has no room for it.
    """
    system, path = place(uri)
    copy = folder / f"{len(list(folder.iterdir()))}{Path(path).suffix}"
    try:
        with copy.open("wb") as file:
            file.writelines(_chunks(system, path, uri))
    except OSError as error:
        raise output_error(copy, error) from error
    return copy


def _chunks(system: FileSystem, path: str, uri: str) -> Iterator[bytes]:
    with errors_as(_unreadable(uri)), system.open_input_stream(path) as stream:
        while chunk := stream.read(_COPY_BYTES):
            yield chunk


def _unreadable(uri: str) -> Callable[[Exception], MediaError]:
    return lambda error: MediaError(Path(shown(uri)), reason_of(error))
