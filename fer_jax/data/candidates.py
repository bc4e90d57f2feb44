"""Which of the things in a folder or an archive is the data set.

What has splits wins over what has none. Then the csv or layout of folders nearest the top wins; in
one folder a csv wins over images. Two that are equally near are never chosen between in silence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from fer_jax.data import fer_csv, layout
from fer_jax.data.members import Member, opened_csv
from fer_jax.errors import DataError

_MAX_ROOT_DEPTH = 2  # folders; a popular archive holds images/train next to images/images/train
_OTHER_CSV_RANK = len(fer_csv.CSV_NAMES)
_IMAGES_RANK = _OTHER_CSV_RANK + 1
_UNSPLIT = _IMAGES_RANK + 1  # what is added to the rank of what has no splits
_FEWEST_CLASSES = 2  # a single folder called "calm" is not a data set
_MOST_NAMED = 5


class Candidate(NamedTuple):
    """A csv, or a layout of folders.

    Attributes:
        root: the folder that holds the csv, or the split or class folders, "" for the outermost.
        rank: which form wins inside one root; 0 is best.
        csv: the csv's name, None for images.
        label: the class of an image without a split, None for anything else.
    """

    root: str
    rank: int
    csv: str | None
    label: int | None = None

    @property
    def has_splits(self) -> bool:
        """Whether the folders, the files' names or a column give each face's split."""
        return self.rank < _UNSPLIT

    @property
    def depth(self) -> int:
        """Folders between the top and the root."""
        return self.root.count("/") + 1 if self.root else 0

    @property
    def form(self) -> str:
        """ "csv" or "folders"."""
        return "folders" if self.csv is None else "csv"


def candidate_of(member: Member) -> Candidate | None:
    """Returns what one file is part of: a csv of faces, a layout of folders, or neither (None)."""
    folder, _, base = member.name.rpartition("/")
    if base.lower() in fer_csv.CSV_NAMES:
        found = Candidate(folder, fer_csv.CSV_NAMES.index(base.lower()), base)
    elif base.lower().endswith(fer_csv.CSV_SUFFIXES):
        with opened_csv(member) as file:
            columns = fer_csv.first_line(file)
        if not set(fer_csv.NEEDED_COLUMNS) <= columns:
            return None
        rank = _OTHER_CSV_RANK if fer_csv.USAGE in columns else _OTHER_CSV_RANK + _UNSPLIT
        found = Candidate(folder, rank, base)
    else:
        root = layout.root_of(member.name)
        place = None if root is None else layout.place(member.name, root)
        if root is None or place is None or place.label is None:
            return None
        if place.split:
            found = Candidate(root, _IMAGES_RANK, None)
        else:
            found = Candidate(root, _IMAGES_RANK + _UNSPLIT, None, place.label)
    return found if found.depth <= _MAX_ROOT_DEPTH else None


def best_of(candidates: Iterable[Candidate], path: Path) -> Candidate | None:
    """Returns the candidate to read, None where there is none.

    Raises:
        DataError: `path` holds several that are equally near the top.
    """
    found = _with_enough_classes(set(candidates))
    found = {each for each in found if each.has_splits} or found
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


def _with_enough_classes(candidates: set[Candidate]) -> set[Candidate]:
    """Makes one candidate of the images of each root without splits, if they are of several classes."""
    classes = Counter(each.root for each in candidates if each.label is not None)
    return {
        each._replace(label=None)
        for each in candidates
        if each.label is None or classes[each.root] >= _FEWEST_CLASSES
    }


def several(path: Path, names: Sequence[str]) -> DataError:
    """The error that asks the user to choose."""
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    listed = ", ".join(names[:_MOST_NAMED]) + more
    return DataError(f"{path}: holds several data sets ({listed}); name one of them")
