"""Decides which images of a layout are used, once all its class folders are known.

The seven expressions are used. Other classes next to them (contempt) are left out and counted. Folders
that may be misspelt expressions, or numbers of an unknown order, are refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from fer_jax.data.layout import CODES, Place, is_misspelt, stranger

OUTSIDE = "outside the class folders"


class Survey(NamedTuple):
    """What the class folders of one root have in common.

    Attributes:
        has_splits: whether folders or file names give splits.
        named: whether any folder names an expression by word or code: those in split folders (True),
            those in the root (False).
        numbered: whether the classes are FER2013's codes: some or all of 0 to 6, 0 among them, and
            no other numbers or names.
    """

    has_splits: bool
    named: frozenset[bool]
    numbered: bool


class Decision(NamedTuple):
    """What to do with an image, and its split or the reason."""

    action: Literal["use", "leave out", "refuse"]
    text: str


def survey(places: Iterable[Place]) -> Survey:
    """Returns what the class folders at these places have in common."""
    places = set(places)
    labelled = [place for place in places if place.label is not None]
    has_splits = any(place.split for place in labelled)
    classes = {
        place.folder
        for place in places
        if (place.split or not has_splits) and (place.label is not None or place.folder.isdigit())
    }
    return Survey(
        has_splits=has_splits,
        named=frozenset(bool(place.parent) for place in labelled),
        numbered="0" in classes and classes <= set(CODES),
    )


def decide(place: Place, found: Survey) -> Decision:
    """Returns what to do with the images at one place of a layout."""
    if found.has_splits and not place.split:
        return Decision("leave out", OUTSIDE)
    if place.folder.isdigit() and not found.numbered:
        return Decision(
            "refuse",
            f"the class folder {place.folder!r} is a number, and the numbered folders are not 0 to 6 as "
            "in FER2013; rename them to expressions",
        )
    if place.label is not None:
        return Decision("use", place.split or "train")
    if bool(place.parent) in found.named:
        if is_misspelt(place.folder):
            return Decision("refuse", stranger(place.folder))
        return Decision(
            "leave out", f"in {place.folder!r}, which is not one of the seven expressions"
        )
    if place.parent:
        return Decision("refuse", stranger(place.folder))
    return Decision("leave out", OUTSIDE)
