"""Reads the csv form of FER2013 and its FER+ votes.

fer2013.csv and its twin icml_face_data.csv hold one face a row: emotion, pixels, Usage, in any
order and with stray spaces in the header; some copies lack Usage, some are packed by gzip.
fer2013new.csv (Barsoum et al., "Training Deep Networks for Facial Expression Recognition with
Crowd-Sourced Label Distribution", 2016) has one row of ten votes for each of those rows, in the same
order.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple

import numpy as np

from fer_jax.data.layout import split_of_usage
from fer_jax.data.records import Record, Refusals
from fer_jax.errors import DataError
from fer_jax.expressions import (
    FER2013_TO_INDEX,
    FERPLUS_COLUMNS,
    NUM_EXPRESSIONS,
)
from fer_jax.faces.preprocess import FACE_SIZE

CSV_SUFFIXES = (".csv", ".csv.gz")
CSV_NAMES = tuple(f"{stem}{end}" for stem in ("fer2013", "icml_face_data") for end in CSV_SUFFIXES)
VOTES_NAMES = tuple(f"fer2013new{end}" for end in CSV_SUFFIXES)
NEEDED_COLUMNS = ("emotion", "pixels")
USAGE = "usage"

_LABELS = frozenset(str(label) for label in range(NUM_EXPRESSIONS))
_LONGEST_LINE = 1 << 20  # bytes; a row of fer2013.csv has 9,300
_NUM_PIXELS = FACE_SIZE * FACE_SIZE
_WHOLE_NUMBERS = re.compile(r"[0-9 \t]*")


class CsvRow(NamedTuple):
    """One valid row: its index among all rows (from 0), its line in the file (from 1), its face.

    `split` is "" in a csv without Usage.
    """

    number: int
    line: int
    split: str
    record: Record


class Votes(NamedTuple):
    """FER+ votes: the Usage's split of every row, and float32 [rows, 10] counts of `FERPLUS_COLUMNS`."""

    splits: Sequence[str | None]
    counts: np.ndarray


class _Header(NamedTuple):
    """The number of columns, and the position of each."""

    width: int
    at: dict[str, int]


class _BadRowError(ValueError):
    """One row is not valid; the message gives the reason."""


def first_line(file: BinaryIO) -> set[str]:
    """Returns the columns that a csv's first line names, in lower case."""
    header = file.readline(1024).decode("utf-8-sig", "replace")
    return {column.strip(' "\r\n').lower() for column in header.split(",")}


def read_rows(file: BinaryIO, name: str, refusals: Refusals) -> tuple[list[CsvRow], int]:
    """Reads the faces of fer2013.csv.

    Args:
        file: the csv's bytes, UTF-8.
        name: the file's name, for the names of faces ("fer2013.csv:17").
        refusals: takes rows with a wrong number of columns, pixels that are not 2304 whole numbers
            from 0 to 255, a label outside 0 to 6, or an unknown Usage.

    Returns:
        The valid rows, and the number of all rows.

    Raises:
        DataError: an invalid row, or a header without emotion and pixels.
    """
    rows: list[CsvRow] = []
    count = 0
    lines = _lines(file, refusals.where + name)
    header = _header(lines, NEEDED_COLUMNS, refusals.where + name)
    for line, cells in lines:
        try:
            split, image, label = _parse(cells, header)
        except _BadRowError as error:
            refusals.refuse(f"{name}:{line}", str(error))
        else:
            rows.append(CsvRow(count, line, split, Record(f"{name}:{line}", image, label)))
        count += 1
    return rows, count


def read_votes(file: BinaryIO, name: str) -> Votes:
    """Reads fer2013new.csv; errors call it `name`.

    Raises:
        DataError: a header without Usage and the ten vote columns, or a vote that is not a number.
    """
    lines = _lines(file, name)
    wanted = (USAGE, *(column.lower() for column in FERPLUS_COLUMNS))
    header = _header(lines, wanted, name)
    splits: list[str | None] = []
    counts: list[np.ndarray] = []
    for line, cells in lines:
        if len(cells) != header.width:
            raise DataError(f"{name}:{line}: {len(cells)} columns, expected {header.width}")
        splits.append(split_of_usage(cells[header.at[USAGE]]))
        row = np.zeros(len(FERPLUS_COLUMNS), np.float32)
        for answer, column in enumerate(wanted[1:]):
            vote = cells[header.at[column]].strip()
            if not (vote.isascii() and vote.isdigit()):
                raise DataError(f"{name}:{line}: the vote {vote!r} is not a whole number")
            row[answer] = int(vote)
        counts.append(row)
    return Votes(splits, np.array(counts, np.float32).reshape(-1, len(FERPLUS_COLUMNS)))


def with_votes(rows: Sequence[CsvRow], count: int, votes: Votes, name: str) -> list[CsvRow]:
    """Adds votes to each face, and the Usage of the votes if it has none.

    `count` is the number of rows in the face csv, valid or not.

    Raises:
        DataError: the two files do not belong together.
    """
    if len(votes.splits) != count:
        raise DataError(
            f"{name}: {len(votes.splits)} rows of votes for {count} faces; "
            "take the file that belongs to this csv, or remove it to train without votes"
        )
    for row in rows:
        if row.split and votes.splits[row.number] != row.split:
            raise DataError(
                f"{name}: the Usage of row {row.number + 1} differs from {row.record.name}; "
                "take the file that belongs to this csv, or remove it to train without votes"
            )
    return [
        row._replace(
            split=votes.splits[row.number] or "",
            record=row.record._replace(votes=votes.counts[row.number]),
        )
        for row in rows
    ]


def _lines(file: BinaryIO, name: str) -> Iterator[tuple[int, list[str]]]:
    """Yields (line number as in an editor, cells) of every line that is not blank."""
    # Not io.TextIOWrapper: before Python 3.12 it cannot wrap a member of a streamed tar.
    raw = iter(lambda: file.readline(_LONGEST_LINE), b"")
    reader = csv.reader(line.decode("utf-8", "replace").removeprefix("\ufeff") for line in raw)
    try:
        for cells in reader:
            if cells:
                yield reader.line_num, cells
    except csv.Error as error:
        raise DataError(f"{name}:{reader.line_num}: not a csv line ({error})") from None


def _header(lines: Iterator[tuple[int, list[str]]], wanted: Sequence[str], name: str) -> _Header:
    _, cells = next(lines, (1, []))
    found = [cell.strip().lower() for cell in cells]
    if not set(wanted) <= set(found):
        raise DataError(
            f"{name}:1: expected the columns {', '.join(wanted)}, "
            f"found {', '.join(found)[:80] or 'nothing'}"
        )
    return _Header(len(found), {column: found.index(column) for column in found})


def _parse(cells: Sequence[str], header: _Header) -> tuple[str, np.ndarray, int]:
    """Returns (split or "", uint8 [48, 48], label) of one row."""
    if len(cells) != header.width:
        raise _BadRowError(f"{len(cells)} columns, expected {header.width}")
    emotion = cells[header.at["emotion"]].strip()
    if emotion not in _LABELS:
        raise _BadRowError(f"the label {emotion[:20]!r} is not one of 0 to {NUM_EXPRESSIONS - 1}")
    usage = cells[header.at[USAGE]] if USAGE in header.at else ""
    split = split_of_usage(usage) if USAGE in header.at else ""
    if split is None:
        raise _BadRowError(f"the Usage {usage[:20]!r} is not Training, PublicTest or PrivateTest")
    return split, _pixels(cells[header.at["pixels"]]), FER2013_TO_INDEX[int(emotion)]


def _pixels(text: str) -> np.ndarray:
    if not _WHOLE_NUMBERS.fullmatch(text):
        odd = next(word for word in text.split() if not _WHOLE_NUMBERS.fullmatch(word))
        raise _BadRowError(f"the pixel {odd[:20]!r} is not a whole number from 0 to 255")
    values = np.fromstring(text, dtype=np.int64, sep=" ") if text.strip() else np.zeros(0)
    if len(values) != _NUM_PIXELS:
        raise _BadRowError(f"{len(values)} pixels, expected {_NUM_PIXELS} (48 x 48)")
    if values.max() > 255:
        raise _BadRowError(f"the pixel {values.max()} is out of 0 to 255")
    return values.astype(np.uint8).reshape(FACE_SIZE, FACE_SIZE)
