"""Turns the files of one source into records, split by split, in one pass.

The order of the files does not matter (a .tar.xz gives them as they were packed): faces come out in
row order from a csv and sorted by name from images.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from fer_jax.data import fer_csv
from fer_jax.data.class_folders import OUTSIDE, decide, survey
from fer_jax.data.layout import SPLITS, Place, is_image, place
from fer_jax.data.members import Member, opened_csv
from fer_jax.data.records import Kind, Record, Refusals
from fer_jax.faces.preprocess import grey_face
from fer_jax.media.decoder import Decoder
from fer_jax.media.image_errors import BadImageError
from fer_jax.media.images import MAX_PIXELS, most_file_bytes


class Contents(NamedTuple):
    """What a source holds: split -> its faces, and `kind`, `numbered`, `left_out` as in `Reading`."""

    records: Mapping[str, Sequence[Record]]
    kind: Kind
    numbered: bool
    left_out: Mapping[str, int]


def read_images(members: Iterable[Member], root: str, refusals: Refusals) -> Contents:
    """Returns the images of the layout whose split or class folders are in `root`.

    Raises:
        DataError: an image that cannot be used, or a class folder that may be misspelt, unless
            `refusals` leaves them out.
    """
    places: dict[str, Place] = {}
    records: dict[str, Record] = {}
    left_out: Counter[str] = Counter()
    with Decoder() as decoder:
        for member in members:
            where = place(member.name, root)
            if where is None:
                left_out[OUTSIDE] += is_image(member.name)
                continue
            name = member.name[len(root) + 1 :] if root else member.name
            places[name] = where
            if where.label is None:
                continue
            try:
                records[name] = Record(name, _grey_face(member, decoder), where.label)
            except BadImageError as error:
                refusals.refuse(name, str(error))
            except OSError as error:
                refusals.refuse(name, f"the file cannot be read ({error.strerror})")
    found = survey(places.values())
    splits: dict[str, list[Record]] = {split: [] for split in SPLITS}
    all_prefixed = True
    for name in sorted(places.keys() - {skipped.name for skipped in refusals.skipped}):
        action, text = decide(places[name], found)
        if action == "leave out":
            left_out[text] += 1
        elif action == "refuse":
            refusals.refuse(name, text)
        elif name in records:
            splits[text].append(records[name])
            all_prefixed &= places[name].prefixed
    kind = "fer2013" if all_prefixed else "folder"
    return Contents(splits, kind, found.numbered, +left_out)


def _grey_face(member: Member, decoder: Decoder) -> np.ndarray:
    with member.open() as file:
        data = file.read(most_file_bytes(MAX_PIXELS) + 1)
    with decoder.decoded(data, grey=True) as pixels:
        return grey_face(pixels).copy()


def read_csv(members: Iterable[Member], root: str, csv: str, refusals: Refusals) -> Contents:
    """Returns the rows of a csv by split, with the FER+ votes if they are next to it.

    Without Usage, in the csv or the votes, all rows are for training.

    Raises:
        DataError: a bad row, unless `refusals` leaves it out; a csv without the right header, or
            votes of another csv.
    """
    folder = f"{root}/" if root else ""
    rows, count, votes, votes_where = [], 0, None, ""
    for member in members:
        name = member.name.removeprefix(folder)
        if name == csv:
            with opened_csv(member) as file:
                rows, count = fer_csv.read_rows(file, csv, refusals)
        elif name in fer_csv.VOTES_NAMES:
            votes_where = refusals.where + name
            with opened_csv(member) as file:
                votes = fer_csv.read_votes(file, votes_where)
    if votes is not None:
        rows = fer_csv.with_votes(rows, count, votes, votes_where)
    records: dict[str, list[Record]] = {split: [] for split in SPLITS}
    for row in rows:
        records[row.split or "train"].append(row.record)
    return Contents(records, "fer2013", numbered=False, left_out={})
