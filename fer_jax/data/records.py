"""The result of every source of faces, a `Reading`, and the records it is made from.

Readers create `Record`s and pass unusable faces to a `Refusals`, which either stops the reading with an
error of one line or leaves the face out and records why.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from fer_jax.data.faces import Faces
from fer_jax.errors import DataError
from fer_jax.expressions import EXPRESSIONS, FER2013_TO_INDEX

OnError = Literal["raise", "skip"]

Kind = Literal["fer2013", "folder", "synthetic"]


class UnreadableFaceError(DataError):
    """A face that cannot be used and may not be left out."""

    def __init__(self, problem: str, *, skip: str = 'on_error="skip"') -> None:
        """Builds the message; `skip` is the option that leaves such faces out."""
        super().__init__(f"{problem}; fix or remove it, or leave out such faces with {skip}")
        self._problem = problem

    def with_flag(self, skip: str) -> UnreadableFaceError:
        """Returns the same error for a command, where the flag `skip` leaves such faces out."""
        return UnreadableFaceError(self._problem, skip=skip)


class Record(NamedTuple):
    """One face from a reader.

    Attributes:
        name: its path below the folder that holds the splits, or "fer2013.csv:17".
        image: uint8 [48, 48], grey levels.
        label: index into `fer_jax.expressions.EXPRESSIONS`.
        votes: float32 [10] FER+ votes, None if the source has none.
    """

    name: str
    image: np.ndarray
    label: int
    votes: np.ndarray | None = None


class Skipped(NamedTuple):
    """A face left out: its name, as in `Record`, and the reason in one line."""

    name: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Reading:
    """All faces of a source, in memory.

    Attributes:
        splits: split name -> faces, in the order train, validation, test; only splits with faces.
        kind: "fer2013" for the csv form and if all file names give FER2013's splits; "synthetic" for
            drawn faces; "folder" for any other collection.
        form: their layout: "csv", "folders", "archive:csv", "archive:folders" or "drawn".
        fingerprint: hex digest of their files; "" for drawn ones.
        numbered: whether class folders 0 to 6 were read as FER2013's codes.
        left_out: usable images that are not used: their location -> count.
        held_out: whether validation is a tenth of the training faces, because it has no split.
        skipped: unusable faces left out under on_error="skip".
    """

    splits: Mapping[str, Faces]
    kind: Kind
    form: str
    fingerprint: str = ""
    skipped: tuple[Skipped, ...] = ()
    numbered: bool = False
    left_out: Mapping[str, int] = dataclasses.field(default_factory=dict)
    held_out: bool = False

    @property
    def has_votes(self) -> bool:
        """Whether the faces carry FER+ votes."""
        return any(faces.votes is not None for faces in self.splits.values())

    @property
    def remarks(self) -> list[str]:
        """What a person should know about how the faces were found, a line each."""
        lines = []
        if self.numbered:
            codes = ", ".join(
                f"{n} {EXPRESSIONS[label]}" for n, label in enumerate(FER2013_TO_INDEX)
            )
            lines.append(f"numbered folders are read as FER2013's codes: {codes}")
        if self.left_out:
            parts = [
                f"{count:,} image{'s' if count > 1 else ''} {place}"
                for place, count in self.left_out.items()
            ]
            lines.append(f"left out: {'; '.join(parts)}")
        if self.held_out:
            lines.append(
                "validation: a tenth of the training faces, held out by file name; "
                "the data has no validation split"
            )
        return lines


def stacked(records: Sequence[Record]) -> Faces:
    """Returns one or more records as faces; all have votes, or none has."""
    votes = [record.votes for record in records if record.votes is not None]
    return Faces(
        images=np.stack([record.image for record in records]),
        labels=np.array([record.label for record in records], np.int32),
        names=tuple(record.name for record in records),
        votes=np.stack(votes) if votes else None,
    )


@dataclasses.dataclass
class Refusals:
    """Decides what happens when a face cannot be used.

    Attributes:
        on_error: "raise" stops at the first, "skip" leaves it out.
        where: prefix of names in messages that locates the file, e.g. "data/fer2013/".
        skipped: the faces left out so far.
    """

    on_error: OnError
    where: str
    skipped: list[Skipped] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        if self.on_error not in ("raise", "skip"):
            raise DataError(f'on_error={self.on_error!r}: expected "raise" or "skip"')

    def refuse(self, name: str, reason: str) -> None:
        """Leaves a face out, or raises UnreadableFaceError if `on_error` is "raise"."""
        if self.on_error == "raise":
            raise UnreadableFaceError(f"{self.where}{name}: {reason}")
        self.skipped.append(Skipped(name, reason))
