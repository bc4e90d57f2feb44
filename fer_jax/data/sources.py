"""Finds the faces under a user's path, in every form in which people have FER2013.

Start with `load_faces`. `find_source` reads only names and the first bytes of archives;
`FaceSource.read` decodes everything in one pass, so a .tar.xz is unpacked once, however many splits it
holds.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from fer_jax.data import fer_csv, layout
from fer_jax.data.array_records import cached
from fer_jax.data.cache import entry_name
from fer_jax.data.candidates import Candidate, best_of, candidate_of, several
from fer_jax.data.hold_out import with_validation
from fer_jax.data.members import (
    MAX_UNPACKED_BYTES,
    Member,
    archive_members,
    file_member,
    folder_members,
    is_archive,
)
from fer_jax.data.reading import read_csv, read_images
from fer_jax.data.records import OnError, Reading, Refusals, stacked
from fer_jax.errors import DataError

# How much of an archive to search if the user named only its folder: ten seconds of unpacking.
_PROBE_BYTES = 1 << 30


class NoFacesError(DataError):
    """A path that exists but holds no faces in any accepted form."""


@dataclasses.dataclass(frozen=True)
class FaceSource:
    """Faces that were found, not yet read.

    Attributes:
        path: the folder or the archive that holds them.
        form: "csv", "folders", "archive:csv" or "archive:folders".
        root: the folder inside `path` that holds the csv, or the split or class folders; "" for `path`.
        csv: the csv's name inside `root`, None for images.
        members: the files found in a folder; none for an archive.
    """

    path: Path
    form: str
    root: str
    csv: str | None = None
    members: tuple[Member, ...] = dataclasses.field(default=(), repr=False)

    @functools.cached_property
    def fingerprint(self) -> str:
        """A hex digest of names, sizes and modification times; it changes with the faces."""
        digest = hashlib.sha256(f"{self.form}\n{self.root}\n{self.csv}\n".encode())
        for name in self._names():
            digest.update(name.encode())
            with contextlib.suppress(FileNotFoundError):
                stat = (self.path / name).stat()
                digest.update(f"\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
        return digest.hexdigest()

    def read(self, on_error: OnError = "raise") -> Reading:
        """Reads every split in one pass.

        Args:
            on_error: "raise" stops at the first face that cannot be used; "skip" leaves it out.

        Raises:
            DataError: a bad face under "raise"; a damaged archive, a csv without the right header,
                votes for another csv, or no usable face, in both cases.
        """
        joint = ": " if self._packed else "/"
        refusals = Refusals(on_error, f"{self.path}{joint}{self._inside('')}")
        with self._members() as members:
            if self.csv is None:
                found = read_images(members, self.root, refusals)
            else:
                found = read_csv(members, self.root, self.csv, refusals)
        splits = {split: stacked(faces) for split, faces in found.records.items() if faces}
        if not splits:
            raise NoFacesError(
                f"{self.path}: no face can be used, {len(refusals.skipped)} were left out; "
                f"expected {layout.ACCEPTED}"
            )
        return Reading(
            splits,
            kind=found.kind,
            form=self.form,
            fingerprint=self.fingerprint,
            skipped=tuple(refusals.skipped),
            numbered=found.numbered,
            left_out=found.left_out,
        )

    @property
    def _packed(self) -> bool:
        return self.form.startswith("archive:")

    def _inside(self, name: str) -> str:
        return f"{self.root}/{name}" if self.root else name

    @contextlib.contextmanager
    def _members(self) -> Iterator[Iterable[Member]]:
        if self._packed:
            with archive_members(self.path) as members:
                yield members
        else:
            yield self.members

    def _names(self) -> Sequence[str]:
        """The files below `path` that the reading depends on."""
        if self._packed:
            return [""]
        if self.csv is not None:
            return [self._inside(name) for name in (self.csv, *fer_csv.VOTES_NAMES)]
        return [member.name for member in self.members if layout.is_image(member.name)]


def load_faces(
    path: Path, *, on_error: OnError = "raise", cache_dir: Path | None = None
) -> Reading:
    """Returns the faces under a path, read once and then kept in the cache.

    Where they have no validation split, a tenth of the training faces is held out as one.

    Args:
        path: a folder, a csv or an archive; see `find_source`.
        on_error: "raise" stops at the first face that cannot be used; "skip" leaves it out.
        cache_dir: None for $FER_CACHE_DIR/datasets, or ~/.cache/fer_jax/datasets.

    Raises:
        DataError: no faces, a bad face under "raise", or a cache that cannot be written.
    """
    source = find_source(path)
    entry = entry_name(source.fingerprint, on_error)
    read = functools.partial(source.read, on_error)
    return with_validation(cached(entry, read, source=source.path, cache_dir=cache_dir))


def find_source(path: Path) -> FaceSource:
    """Finds the faces under a path.

    Args:
        path: a csv, an archive, or a folder. In a folder, loose files win over archives, files
            nearer the top over those one folder down, and data with splits over data without.

    Raises:
        NoFacesError: the path holds none of the accepted forms.
        DataError: the path does not exist, or holds several data sets of equal rank.
    """
    path = path.expanduser()
    if not path.exists():
        raise DataError(f"{path}: no such file or folder; expected one with {layout.ACCEPTED}")
    if path.is_dir():
        source = _in_folder(path) or _in_archives_of(path)
    elif not path.is_file():
        raise DataError(f"{path}: is neither a folder nor a regular file; save it as a file first")
    elif is_archive(path):
        source = _in_archive(path, limit=MAX_UNPACKED_BYTES)
    elif path.name.lower().endswith(fer_csv.CSV_SUFFIXES):
        names = dict.fromkeys((path.name, *fer_csv.VOTES_NAMES))
        beside = [name for name in names if (path.parent / name).is_file()]
        members = (file_member(name, path.parent / name) for name in beside)
        source = FaceSource(path.parent, "csv", "", csv=path.name, members=tuple(members))
    else:
        source = None
    if source is None:
        raise NoFacesError(f"{path}: holds no faces; expected {layout.ACCEPTED}")
    return source


def _in_folder(path: Path) -> FaceSource | None:
    whole = Path(os.path.abspath(path))
    views: list[tuple[Path, str | None]] = [(path, None)]
    if layout.split_of_folder(whole.name):  # the user named data/test rather than data
        views.append((path.parent if path.name == whole.name else whole.parent, whole.name))
    without_splits: FaceSource | None = None
    strangers: list[str] = []
    for folder, only in views:
        members = folder_members(folder, only=only)
        if found := best_of(filter(None, map(candidate_of, members)), folder):
            source = FaceSource(folder, found.form, found.root, found.csv, tuple(members))
            if found.has_splits:
                return source
            without_splits = without_splits or source
        strangers += _strangers(folder, members)
    if without_splits:
        return without_splits
    if strangers:
        raise NoFacesError(strangers[0])
    return None


def _strangers(folder: Path, members: Iterable[Member]) -> Iterator[str]:
    """Yields a line for each image in a split folder whose class folder is not an expression's."""
    for name, _ in members:
        root = layout.root_of(name)
        place = None if root is None else layout.place(name, root)
        if place is not None and place.label is None:
            yield f"{(folder / name).parent}: {layout.stranger(place.folder)}"


def _in_archives_of(path: Path) -> FaceSource | None:
    """Searches the archives in a folder, those named fer2013 first."""
    names = [member.name for member in folder_members(path) if member.name.count("/") <= 1]
    archives = [path / name for name in names if is_archive(Path(name))]
    groups: dict[tuple[bool, int], list[Path]] = {}
    for archive in archives:
        key = ("fer2013" not in archive.name.lower(), len(archive.parts))
        groups.setdefault(key, []).append(archive)
    broken: list[DataError] = []
    for key in sorted(groups):
        found = []
        for archive in groups[key]:
            try:
                found.append(_in_archive(archive, limit=_PROBE_BYTES))
            except DataError as error:
                broken.append(error)
        sources = [source for source in found if source is not None]
        if len(sources) > 1:
            raise several(path, [source.path.name for source in sources])
        if sources:
            return sources[0]
    if broken:
        raise broken[0]
    return None


def _in_archive(path: Path, *, limit: int) -> FaceSource | None:
    with archive_members(path, limit=limit) as members:
        candidates = filter(None, map(candidate_of, members))
        if path.suffix.lower() != ".zip":  # a tar would have to be unpacked to its end
            candidates = _until_splits(candidates)
        found = best_of(candidates, path)
    return FaceSource(path, f"archive:{found.form}", found.root, found.csv) if found else None


def _until_splits(candidates: Iterable[Candidate]) -> Iterator[Candidate]:
    """Yields candidates up to the first with splits, which wins over all before it."""
    for candidate in candidates:
        yield candidate
        if candidate.has_splits:
            return
