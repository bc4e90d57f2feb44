"""What the names of files say: which split and which expression an image belongs to.

Names are relative, with forward slashes, and come from a folder or from an archive alike. The
file-name prefixes of FER2013 win over the folder a file sits in: a popular copy keeps PublicTest
and PrivateTest side by side in one `test` folder.
"""

from __future__ import annotations

import functools
import re
from pathlib import PurePosixPath
from typing import NamedTuple

from fer_jax.expressions import EXPRESSIONS, FER2013_TO_INDEX, index_of, nearest
from fer_jax.media.kinds import IMAGE_SUFFIXES

SPLITS = ("train", "validation", "test")
ACCEPTED = (
    "fer2013.csv, icml_face_data.csv (or .csv.gz), or images in train|validation|test/<expression>/ or "
    "in two or more <expression>/ folders, open or in a .zip or .tar.xz"
)
CODES = tuple(map(str, range(len(EXPRESSIONS))))  # class folders that bear FER2013's numbers

_SPLIT_FOLDERS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "publictest"), "validation"),
    **dict.fromkeys(("test", "testing", "privatetest"), "test"),
}
_USAGES = {"training": "train", "publictest": "validation", "privatetest": "test"}
_PREFIX = re.compile(r"(training|publictest|privatetest)_", re.IGNORECASE)


class Place(NamedTuple):
    """An image's place below the root of a layout.

    Attributes:
        split: "train", "validation" or "test"; "" where neither a folder nor the file's name gives one.
        parent: the split folder that holds the class folder, "" where the root does.
        folder: the class folder's name, as spelled.
        label: the class index, None where the folder names no expression.
        prefixed: whether the file's name, rather than a folder, decided the split.
    """

    split: str
    parent: str
    folder: str
    label: int | None
    prefixed: bool


def split_of_folder(folder: str) -> str | None:
    """The split a folder's name means ("Public_Test", "val"), None if it means none."""
    return _SPLIT_FOLDERS.get(re.sub(r"[ _-]", "", folder.lower()))


def split_of_usage(usage: str) -> str | None:
    """The split a Usage of fer2013.csv means ("PublicTest"), None if it means none."""
    return _USAGES.get(usage.strip().lower())


def is_hidden(name: str) -> bool:
    """Whether a relative path is junk of a file manager, or climbs out of its folder."""
    return any(part[:1] in ("", ".") for part in name.split("/"))


def is_image(name: str) -> bool:
    """Whether a relative path is called like an image and is not hidden."""
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES and not is_hidden(name)


def label_of(folder: str) -> int | None:
    """Class index of a class folder: a usual spelling, or FER2013's code 0 to 6; None for others."""
    label = index_of(folder)
    return FER2013_TO_INDEX[int(folder)] if label is None and folder in CODES else label


def root_of(name: str) -> str | None:
    """The folder above an image's <split>/<class>/... or <class>/..., None if it has neither.

    A class folder that names no expression counts only inside a split folder.
    """
    return _root_of_folder(name.rpartition("/")[0]) if is_image(name) else None


@functools.lru_cache(maxsize=4096)  # a data set has few folders and many files
def _root_of_folder(folder: str) -> str | None:
    parts = folder.split("/")
    splits = [i for i, part in enumerate(parts[:-1]) if split_of_folder(part)]
    roots = (
        *(i for i in splits if label_of(parts[i + 1]) is not None),
        *(i for i, part in enumerate(parts) if index_of(part) is not None),
        *(i for i, part in enumerate(parts) if part in CODES),
        *splits,
    )
    return "/".join(parts[: roots[0]]) if roots else None


def place(name: str, root: str) -> Place | None:
    """Reads [<split>/]<class>/.../<file> below `root`; None for what is not an image in such a place.

    The split is that of the file's prefix, of the first folder, or of one below the class, in this
    order.
    """
    inside = f"{root}/" if root else ""
    if not name.startswith(inside) or not is_image(name):
        return None
    folder, _, base = name.removeprefix(inside).rpartition("/")
    found = _place_of_folder(folder)
    prefix = _PREFIX.match(base)
    if found is None or prefix is None:
        return found
    return found._replace(split=_USAGES[prefix[1].lower()], prefixed=True)


@functools.lru_cache(maxsize=4096)
def _place_of_folder(folder: str) -> Place | None:
    first, *below = folder.split("/")
    split = split_of_folder(first)
    if not first or (split and not below):
        return None
    if split:
        return Place(split, first, below[0], label_of(below[0]), False)
    deeper = next(filter(None, map(split_of_folder, below)), "")
    return Place(deeper, "", first, label_of(first), False)


def is_misspelt(folder: str) -> bool:
    """Whether a class folder that names no expression may be meant for one.

    It is near one in spelling, or it is an abbreviation or a number.
    """
    return nearest(folder) is not None or len(folder.strip(" _-.0123456789")) <= 3


def stranger(folder: str) -> str:
    """One line about a class folder that names no expression, with the nearest that there is."""
    near = nearest(folder)
    hint = f"did you mean {near!r}?" if near else f"expected one of {', '.join(EXPRESSIONS)}"
    return f"the folder {folder!r} names no expression, {hint}"
