"""Cuts a run's inputs into units of work; each becomes one part of the output, or a share of a part.

Images go in batches, which grow so that a small run is spread over all workers and a large one makes
few files. A video or a shard is a unit of its own; a long video becomes several, by time.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_jax.media.kinds import VIDEO_SUFFIXES
from fer_jax.media.shards import is_shard

if TYPE_CHECKING:
    import pyarrow as pa

SPLIT_BYTES = 32 << 20  # of a video: a minute at the usual four megabits a second
_FEWEST, _MOST = 32, 1024  # images of a unit
_MOST_SHARES = 64


@dataclasses.dataclass(frozen=True)
class Unit:
    """Inputs that one worker scores at a time.

    Attributes:
        part: number of the output's part that the rows go to.
        names: of files, or URIs.
        share, shares: which of how many parts of the one video, by time.
    """

    part: int
    names: list[str]
    share: int = 0
    shares: int = 1

    def table(self) -> pa.Table:
        """Returns the unit as a table of one row, which Ray passes on."""
        import pyarrow as pa

        names = [os.fsencode(name) for name in self.names]
        return pa.table(
            {
                "part": pa.array([self.part], pa.int64()),
                "names": pa.array([names], pa.list_(pa.binary())),
                "share": pa.array([self.share], pa.int64()),
                "shares": pa.array([self.shares], pa.int64()),
            }
        )

    @classmethod
    def of(cls, row: dict[str, Any]) -> Unit:
        """Returns the unit of a row of its table."""
        names = [os.fsdecode(name) for name in row["names"]]
        return cls(row["part"], names, row["share"], row["shares"])


def units(
    names: Iterable[str],
    *,
    first: int,
    workers: int,
    byte_count: Callable[[str], int],
    split_bytes: int = SPLIT_BYTES,
) -> Iterator[Unit]:
    """Yields the units in the order of the inputs; parts are numbered from `first`.

    Args:
        names: of files, or URIs.
        first: number of the first part.
        workers: that share the work.
        byte_count: gives a video's size.
        split_bytes: a video of more is split into shares of about this size.
    """
    part, waiting = first, list[str]()
    for name in names:
        suffix = Path(name.partition("?")[0]).suffix.lower()
        if not is_shard(name.partition("?")[0]) and suffix not in VIDEO_SUFFIXES:
            waiting.append(name)
            if len(waiting) >= _images(part - first, workers):
                yield Unit(part, waiting)
                part, waiting = part + 1, []
            continue
        if waiting:
            yield Unit(part, waiting)
            part, waiting = part + 1, []
        shares = -(-byte_count(name) // split_bytes) if suffix in VIDEO_SUFFIXES else 1
        shares = min(max(shares, 1), _MOST_SHARES)
        for share in range(shares):
            yield Unit(part, [name], share, shares)
        part += 1
    if waiting:
        yield Unit(part, waiting)


def _images(before: int, workers: int) -> int:
    """Returns how many images a unit holds, after so many units: twice as many every four rounds."""
    return min(_FEWEST << min(before // (4 * workers), 16), _MOST)
