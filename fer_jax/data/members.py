"""The files below a data folder or inside an archive, in one form for both, read in place.

Nothing is ever unpacked to disk. A compressed tar has no random access: its members are read once, in
packing order, and a member's bytes must be read before advancing to the next one.
"""

from __future__ import annotations

import bz2
import contextlib
import functools
import gzip
import io
import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, cast

from fer_jax.data.layout import is_hidden, is_image, label_of, split_of_folder
from fer_jax.errors import DataError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# FER2013's own archives unpack to 0.3 GB; a set of a million small colour faces to some 10 GB.
MAX_UNPACKED_BYTES = 32 << 30
MAX_MEMBERS = 4_000_000

_MOST_HEADER_BYTES = 1 << 20
_MOST_DIRECTORY_BYTES = 256 << 20  # of a zip; that of a million faces has about 100 MB
_ENTRY = b"PK\x01\x02"  # begins each file's entry in it
_HEADER_TYPES = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)

_TAR_OPENERS: dict[str, Callable[[Path], object]] = {
    ".tar": lambda path: path.open("rb"),
    ".tar.gz": gzip.open,
    ".tgz": gzip.open,
    ".tar.bz2": bz2.open,
    ".tbz2": bz2.open,
    ".tar.xz": lzma.open,
    ".txz": lzma.open,
}
ARCHIVE_SUFFIXES = (".zip", *_TAR_OPENERS)


class Member(NamedTuple):
    """One file: its name with forward slashes, and how to open it."""

    name: str
    open: Callable[[], BinaryIO]


def is_archive(path: Path) -> bool:
    """Whether the name is that of an archive this module reads."""
    return path.name.lower().endswith(ARCHIVE_SUFFIXES) and not path.name.startswith(".")


def file_member(name: str, path: str | Path) -> Member:
    """Returns a file of an open folder; nothing is opened yet."""
    return Member(name, cast(Callable[[], BinaryIO], functools.partial(open, path, "rb")))


def folder_members(folder: Path, *, only: str | None = None) -> list[Member]:
    """Returns the files of `folder` that a layout could use, sorted by name.

    Searches split and class folders in `folder` and one level deeper, and returns all images below them
    and below the folders next to class folders; nothing else, because a data folder may hold anything.
    `only` names the one entry of `folder` to search.
    """
    found = _listing(folder, prefix="", depth=0, only=only)
    return sorted(found, key=lambda member: member.name)


def _listing(folder: Path, *, prefix: str, depth: int, only: str | None) -> Iterator[Member]:
    entries = _entries(folder, must=depth == 0)
    labels = {label_of(entry.name) for entry in entries if entry.is_dir()} - {None}
    for entry in entries:
        if only is not None and entry.name != only:
            continue
        name = prefix + _readable(entry.name)
        if entry.is_file():
            yield file_member(name, entry.path)
        elif not entry.is_dir():
            continue
        elif split_of_folder(entry.name) or label_of(entry.name) is not None:
            yield from _images(entry.path, f"{name}/", links=bool(split_of_folder(entry.name)))
        elif len(labels) > 1:  # a class that is not among the seven, perhaps
            yield from _images(entry.path, f"{name}/", must=False)
        elif depth == 0:
            yield from _listing(Path(entry.path), prefix=f"{name}/", depth=1, only=None)


def _images(
    folder: str, prefix: str, *, links: bool = False, must: bool = True
) -> Iterator[Member]:
    """Yields the images below a folder; `links` follows links to folders in it, but not below it."""
    for entry in _entries(folder, must=must):
        name = prefix + _readable(entry.name)
        if entry.is_dir(follow_symlinks=links):  # deeper links could lead in a circle
            yield from _images(entry.path, f"{name}/", must=must)
        elif is_image(name) and (entry.is_file() or not os.path.exists(entry.path)):
            yield file_member(name, entry.path)  # also a dangling link, so that reading reports it


def _readable(name: str) -> str:
    """Returns a file's name as text that can be stored, whatever bytes it has on disk."""
    return name if name.isascii() else os.fsencode(name).decode("utf-8", "replace")


def _entries(folder: str | Path, *, must: bool = True) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        if must:
            raise DataError(f"{folder}: the folder cannot be listed ({error.strerror})") from None
        return []  # an unrelated folder next to the faces


@contextlib.contextmanager
def opened_csv(member: Member) -> Iterator[BinaryIO]:
    """Opens a csv, unpacking it if its name ends in .gz.

    Raises:
        DataError: while it is read, if it is damaged, cut short, or unpacks without end.
    """
    with member.open() as file:
        if not member.name.lower().endswith(".gz"):
            yield file
            return
        packed = cast(io.BufferedIOBase, gzip.GzipFile(fileobj=file))
        yield io.BufferedReader(_Metered(packed, Path(member.name), MAX_UNPACKED_BYTES))


@contextlib.contextmanager
def archive_members(path: Path, *, limit: int = MAX_UNPACKED_BYTES) -> Iterator[Iterator[Member]]:
    """Opens an archive and yields its files: a zip's sorted by name, a tar's in its own order.

    Args:
        path: a .zip or .tar, or a .tar compressed by gzip, bzip2 or xz.
        limit: bytes that may be unpacked before the archive is treated as an archive bomb.

    Raises:
        DataError: the archive is damaged, cut short, encrypted, or unpacks to more than `limit`.
    """
    try:
        if path.name.lower().endswith(".zip"):
            with _ZipFile(path) as file, zipfile.ZipFile(file) as archive:
                file.opened = True
                yield _zip_members(archive, path, limit)
        else:
            with _open_tar(path) as packed:
                stream = cast(BinaryIO, _Metered(packed, path, limit))
                with tarfile.open(fileobj=stream, mode="r|", tarinfo=_BoundedHeader) as archive:
                    yield _tar_members(archive, path)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(f"{path}: the archive is damaged or cut short ({error}); download it again")


def _open_tar(path: Path) -> io.BufferedIOBase:
    suffix = next(end for end in _TAR_OPENERS if path.name.lower().endswith(end))
    return cast(io.BufferedIOBase, _TAR_OPENERS[suffix](path))


def _zip_members(archive: zipfile.ZipFile, path: Path, limit: int) -> Iterator[Member]:
    meter = _Meter(path, limit)

    def unpack(info: zipfile.ZipInfo) -> BinaryIO:
        meter.count(info.file_size)  # zipfile never returns more than the declared size
        try:
            return cast(BinaryIO, archive.open(info))
        except (NotImplementedError, RuntimeError) as error:  # a rare method, or encrypted
            raise DataError(f"{path}: cannot be unpacked here ({error}); pack it again") from None

    for info in sorted(archive.infolist(), key=lambda info: info.filename):
        name = info.filename.replace("\\", "/")
        if not info.is_dir() and not is_hidden(name):
            yield Member(name, functools.partial(unpack, info))


class _ZipFile(io.FileIO):
    """A zip whose directory is bounded: zipfile reads it into memory completely."""

    opened = False

    def read(self, size: int | None = -1, /) -> bytes:
        if self.opened:
            return super().read(size)
        if size is not None and size > _MOST_DIRECTORY_BYTES:
            raise zipfile.BadZipFile(f"a directory of {size:,} bytes")
        data = super().read(size)
        if data.count(_ENTRY) > MAX_MEMBERS:
            raise zipfile.BadZipFile(f"more than {MAX_MEMBERS:,} files in one archive")
        return data


class _BoundedHeader(tarfile.TarInfo):
    """A member with bounded name and attributes, which tarfile reads into memory completely."""

    def _proc_member(self, tarfile_: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in _HEADER_TYPES and self.size > _MOST_HEADER_BYTES:
            raise tarfile.ReadError(f"a name or attribute of {self.size:,} bytes")
        return super()._proc_member(tarfile_)  # pyright: ignore[reportAttributeAccessIssue]


def _tar_members(archive: tarfile.TarFile, path: Path) -> Iterator[Member]:
    for number, info in enumerate(archive):
        if number >= MAX_MEMBERS:
            raise DataError(f"{path}: more than {MAX_MEMBERS:,} files in one archive; split it")
        name = info.name.removeprefix("./")
        if info.isdir() or is_hidden(name):
            continue
        yield Member(name, functools.partial(_open_tar_member, archive, info))


def _open_tar_member(archive: tarfile.TarFile, info: tarfile.TarInfo) -> BinaryIO:
    file = archive.extractfile(info) if info.isreg() else None
    if file is None:
        raise OSError(0, "it is a link or a device inside the archive")
    return cast(BinaryIO, file)


class _Meter:
    """Counts unpacked bytes and refuses to go past the limit."""

    def __init__(self, path: Path, limit: int) -> None:
        self._path, self._limit, self._count = path, limit, 0

    def count(self, n: int) -> None:
        self._count += n
        if self._count > self._limit:
            raise DataError(
                f"{self._path}: unpacks to more than {self._limit / (1 << 30):.0f} GiB; "
                "unpack it yourself and name the folder"
            )


class _Metered(io.RawIOBase):
    """An unpacked stream, metered."""

    def __init__(self, stream: io.BufferedIOBase, path: Path, limit: int) -> None:
        self._stream, self._path, self._meter = stream, path, _Meter(path, limit)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer)
        try:
            data = self._stream.read(len(view))
        except (lzma.LZMAError, zlib.error, EOFError, OSError) as error:
            raise _damaged(self._path, error) from None
        self._meter.count(len(data))
        view[: len(data)] = data
        return len(data)
