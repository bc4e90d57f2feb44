"""Which of the things in a folder or an archive is the data set.

The csv or layout of folders nearest the top wins; in one folder a csv wins over images. Two that
are equally near are never chosen between in silence.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from fer_jax.data import fer_csv, layout
from fer_jax.data.members import Member
from fer_jax.errors import DataError

_MAX_ROOT_DEPTH = 2  # folders; a popular archive holds images/train beside images/images/train
_IMAGES_RANK = len(fer_csv.CSV_NAMES) + 1


class Candidate(NamedTuple):
    """A csv, or a layout of folders.

    Attributes:
        root: the folder that holds the csv or the split folders, "" for the outermost.
        rank: which form wins inside one root; 0 is best.
        csv: the csv's name, None for images.
    """

    root: str
    rank: int
    csv: str | None

    @property
    def depth(self) -> int:
        """Folders between the top and the root."""
        return self.root.count("/") + 1 if self.root else 0

    @property
    def form(self) -> str:
        """ "csv" or "folders"."""
        return "folders" if self.csv is None else "csv"


def candidate_of(member: Member) -> Candidate | None:
    """What one file is part of: a csv with FER2013's columns, a layout, or neither (None)."""
    folder, _, base = member.name.rpartition("/")
    if base.lower() in fer_csv.CSV_NAMES:
        found = Candidate(folder, fer_csv.CSV_NAMES.index(base.lower()), base)
    elif base.lower().endswith(".csv"):
        with member.open() as file:
            if not fer_csv.is_face_csv(file):
                return None
        found = Candidate(folder, _IMAGES_RANK - 1, base)
    else:
        place = layout.place(member.name)
        if place is None or place.label is None:
            return None
        found = Candidate(place.root, _IMAGES_RANK, None)
    return found if found.depth <= _MAX_ROOT_DEPTH else None


def best_of(candidates: Iterable[Candidate], path: Path) -> Candidate | None:
    """Returns the candidate to read, None where there is none.

    Raises:
        DataError: `path` holds several that are equally near the top.
    """
    found = set(candidates)
    if not found:
        return None
    depth = min(each.depth for each in found)
    roots = sorted({each.root for each in found if each.depth == depth})
    if len(roots) > 1:
        raise several(path, roots)
    here = [each for each in found if each.root == roots[0]]
    rank = min(each.rank for each in here)
    first, *others = (each for each in here if each.rank == rank)
    if others:
        raise several(path, sorted(each.csv or "" for each in here if each.rank == rank))
    return first


def several(path: Path, names: Sequence[str]) -> DataError:
    """The error that asks the user to choose."""
    return DataError(f"{path}: holds several data sets ({', '.join(names)}); name one of them")
