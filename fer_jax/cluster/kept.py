"""What the parts of an earlier run hold: its inputs need no more scoring."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from typing import NamedTuple

from fer_jax.cluster.parts import Parts
from fer_jax.scoring.finished import FinishedInputs
from fer_jax.scoring.rows import path_from_text

_IN_SHARD = re.compile(r"(.+?\.(?:tar|parquet))#", re.IGNORECASE | re.DOTALL)


class KeptInputs(NamedTuple):
    """The inputs of an earlier run.

    Attributes:
        finished: those with existing rows; the caller closes it.
        unreadable: how many of them could not be read; of a shard, each image counts.
    """

    finished: FinishedInputs
    unreadable: int


def kept_inputs(parts: Parts, numbers: Iterable[int]) -> KeptInputs:
    """Returns the inputs of the parts with these `numbers`; a shard's images are all in one part."""
    finished, unreadable = FinishedInputs(), 0
    for number in numbers:
        for text, rows in itertools.groupby(parts.statuses(number), key=lambda row: row[0]):
            inside = _IN_SHARD.match(text)
            finished.add(path_from_text(inside[1] if inside else text), always=True)
            unreadable += any(status == "unreadable" for _, status in rows)
    return KeptInputs(finished, unreadable)
