"""Turns the files of one source into records, split by split, in one pass.

The order of the files does not matter (a .tar.xz gives them as they were packed): faces come out in
row order from a csv and sorted by name from images.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from fer_jax.data import fer_csv
from fer_jax.data.layout import SPLITS, place, stranger
from fer_jax.data.members import Member
from fer_jax.data.records import Kind, Record, Refusals
from fer_jax.faces.preprocess import grey_face
from fer_jax.media.decoder import Decoder
from fer_jax.media.image_header import BadImageError
from fer_jax.media.images import MAX_PIXELS, most_file_bytes


def read_images(
    members: Iterable[Member], root: str, refusals: Refusals
) -> tuple[Mapping[str, Sequence[Record]], Kind]:
    """Returns the images of the layout whose split folders lie in `root`, by split, and their kind.

    Raises:
        DataError: an image that cannot be used or an unknown class folder, unless `refusals`
            leaves them out.
    """
    faces: dict[str, dict[str, Record]] = {split: {} for split in SPLITS}
    all_prefixed = True
    with Decoder() as decoder:
        for member in members:
            where = place(member.name)
            if where is None or where.root != root:
                continue
            name = member.name[len(root) + 1 :] if root else member.name
            if where.label is None:
                refusals.refuse(name, stranger(where.folder))
                continue
            try:
                face = _grey_face(member, decoder)
            except BadImageError as error:
                refusals.refuse(name, str(error))
            except OSError as error:
                refusals.refuse(name, f"the file cannot be read ({error.strerror})")
            else:
                all_prefixed &= where.prefixed
                faces[where.split][name] = Record(name, face, where.label)
    records = {split: [found[name] for name in sorted(found)] for split, found in faces.items()}
    return records, "fer2013" if all_prefixed else "folder"


def _grey_face(member: Member, decoder: Decoder) -> np.ndarray:
    with member.open() as file:
        data = file.read(most_file_bytes(MAX_PIXELS) + 1)
    with decoder.decoded(data, grey=True) as pixels:
        return grey_face(pixels).copy()


def read_csv(
    members: Iterable[Member], root: str, csv: str, refusals: Refusals
) -> Mapping[str, Sequence[Record]]:
    """Returns the rows of a csv by split, with the FER+ votes where they lie beside it.

    Raises:
        DataError: a bad row, unless `refusals` leaves it out; a csv without the right header, or
            votes of another csv.
    """
    folder = f"{root}/" if root else ""
    votes_where = refusals.where + fer_csv.VOTES_NAME
    rows, count, votes = [], 0, None
    for member in members:
        if member.name == folder + csv:
            with member.open() as file:
                rows, count = fer_csv.read_rows(file, csv, refusals)
        elif member.name == folder + fer_csv.VOTES_NAME:
            with member.open() as file:
                votes = fer_csv.read_votes(file, votes_where)
    if votes is not None:
        rows = fer_csv.with_votes(rows, count, votes, votes_where)
    records: dict[str, list[Record]] = {split: [] for split in SPLITS}
    for row in rows:
        records[row.split].append(row.record)
    return records
