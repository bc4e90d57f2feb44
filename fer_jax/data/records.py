"""One face on its way from a user's files into a dataset, and what becomes of the bad ones.

Readers make `Record`s and hand whatever they cannot use to a `Refusals`, which either stops the
reading with one line or leaves the face out and remembers why.
"""

from __future__ import annotations

import dataclasses
from typing import Literal, NamedTuple

import numpy as np

from fer_jax.errors import DataError

OnError = Literal["raise", "skip"]


class UnreadableFaceError(DataError):
    """A face that cannot be used, where none may be left out."""

    def __init__(self, problem: str, *, skip: str = 'on_error="skip"') -> None:
        """Says in `skip` how the user leaves such faces out."""
        super().__init__(f"{problem}; fix or remove it, or leave out such faces with {skip}")
        self._problem = problem

    def with_flag(self, skip: str) -> UnreadableFaceError:
        """Returns the same for users of a command, who leave such faces out with the flag `skip`."""
        return UnreadableFaceError(self._problem, skip=skip)


class Record(NamedTuple):
    """One face as it will be stored.

    Attributes:
        name: its path below the folder that holds the splits, or "fer2013.csv:17".
        image: uint8 [48, 48], grey levels.
        label: index into `fer_jax.expressions.EXPRESSIONS`.
        votes: float32 [7] FER+ votes per expression, None where the source has none.
    """

    name: str
    image: np.ndarray
    label: int
    votes: np.ndarray | None = None


class Skipped(NamedTuple):
    """A face left out: its name, as in `Record`, and the reason in one line."""

    name: str
    reason: str


@dataclasses.dataclass
class Refusals:
    """Decides what a face that cannot be used does to the reading.

    Attributes:
        on_error: "raise" stops at the first, "skip" leaves it out.
        where: what to put before a name so that a person finds the file, e.g. "data/fer2013/".
        skipped: the faces left out so far.
    """

    on_error: OnError
    where: str
    skipped: list[Skipped] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        if self.on_error not in ("raise", "skip"):
            raise DataError(f'on_error={self.on_error!r}: expected "raise" or "skip"')

    def refuse(self, name: str, reason: str) -> None:
        """Leaves a face out, or raises UnreadableFaceError if that is not wanted."""
        if self.on_error == "raise":
            raise UnreadableFaceError(f"{self.where}{name}: {reason}")
        self.skipped.append(Skipped(name, reason))
