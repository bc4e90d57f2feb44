"""What the names of files say: which split and which expression an image belongs to.

Names are relative, with forward slashes, and come from a folder or from an archive alike. The
file-name prefixes of FER2013 win over the folder a file sits in: a popular copy keeps PublicTest
and PrivateTest side by side in one `test` folder.
"""

from __future__ import annotations

import difflib
import functools
import re
from typing import NamedTuple

from fer_jax.expressions import EXPRESSIONS, index_of

SPLITS = ("train", "validation", "test")
ACCEPTED = (
    "fer2013.csv, icml_face_data.csv, or images in train|validation|test/<expression>/*.jpg|png, "
    "open or in a .zip or .tar.xz"
)

# Formats that decode.py refuses are listed too: a face in one must be reported, not overlooked.
_IMAGE_SUFFIXES = frozenset(
    ("jpg", "jpeg", "jpe", "png", "bmp", "webp", "gif", "tif", "tiff", "jp2", "avif", "heic", "pgm")
)
_SPLIT_FOLDERS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "publictest"), "validation"),
    **dict.fromkeys(("test", "testing", "privatetest"), "test"),
}
_USAGES = {"training": "train", "publictest": "validation", "privatetest": "test"}
_PREFIX = re.compile(r"(training|publictest|privatetest)_", re.IGNORECASE)


class Place(NamedTuple):
    """Where an image stands in a layout.

    Attributes:
        root: the folder that holds the splits, "" for the outermost.
        split: "train", "validation" or "test".
        folder: the class folder's name, as spelled.
        label: the class index, None where the folder names no expression.
        prefixed: whether the file's name, rather than its folder, decided the split.
    """

    root: str
    split: str
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


def place(name: str) -> Place | None:
    """Reads <root>/<split>/<class>/<file> or <root>/<class>/<Usage>_<file>; None for others."""
    folder, _, base = name.rpartition("/")
    if base.rpartition(".")[2].lower() not in _IMAGE_SUFFIXES or base.startswith("."):
        return None
    plain = _place_by_folder(folder)
    prefix = _PREFIX.match(base)
    if prefix is None or plain is None:
        return plain if plain is not None and plain.split else None
    if not plain.split and plain.label is None:
        return None
    return plain._replace(split=_USAGES[prefix[1].lower()], prefixed=True)


@functools.lru_cache(maxsize=1024)  # a data set has few folders and many files
def _place_by_folder(folder: str) -> Place | None:
    """Where a folder's files stand; its split is "" where only a file's prefix could tell."""
    if not folder or is_hidden(folder):
        return None
    parts = folder.split("/")
    split = split_of_folder(parts[-2]) if len(parts) > 1 else None
    root = "/".join(parts[: -2 if split else -1])
    return Place(root, split or "", parts[-1], index_of(parts[-1]), False)


def stranger(folder: str) -> str:
    """One line about a class folder that names no expression, with the nearest that there is."""
    near = difflib.get_close_matches(folder.lower(), EXPRESSIONS, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(EXPRESSIONS)}"
    return f"the folder {folder!r} names no expression, {hint}"
