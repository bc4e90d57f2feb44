"""Cuts a run's inputs into units of work; each becomes one part of the output, or a share of a part.

Images go in batches, which grow so that a small run is spread over all workers and a large one makes few
files. A video or a shard is a separate unit. Videos that would keep a worker busy longer than the rest
of the run become several units, by time: one video uses all workers, a thousand videos are not split.

A resumed run is split again, for its current workers. Shares of a video belong to one run; only complete
parts with complete inputs are kept.
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

SHORTEST_BYTES = 16 << 20  # of a share: half a minute at the usual four megabits a second
_ROUNDS = 2  # shares for each worker: one that had an easy share takes another
# Each share reads all packets of its video, 0.03 ms for a frame; scoring takes 15 ms. With so many,
# reading costs half as much as scoring.
_MOST_SHARES = 256
_FEWEST, _MOST = 32, 1024  # images of a unit


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
    shortest_bytes: int = SHORTEST_BYTES,
) -> Iterator[Unit]:
    """Yields the units: images and shards, as they are named, then videos. Parts follow the inputs.

    Args:
        names: of files, or URIs.
        first: number of the first part.
        workers: that share the work.
        byte_count: gives a video's size.
        shortest_bytes: of a video's share; less is not worth the reading.
    """
    part, waiting, videos = first, list[str](), list[tuple[int, str, int]]()
    for name in names:
        bare = name.partition("?")[0]
        is_video = not is_shard(bare) and Path(bare).suffix.lower() in VIDEO_SUFFIXES
        alone = is_video or is_shard(bare)
        if not alone:
            waiting.append(name)
        if waiting and (alone or len(waiting) >= _images(part - first, workers)):
            yield Unit(part, waiting)
            part, waiting = part + 1, []
        if is_video:
            videos.append((part, name, byte_count(name)))
        elif alone:
            yield Unit(part, [name])
        part += alone
    if waiting:
        yield Unit(part, waiting)
    every = sum(size for _, _, size in videos)
    for part, name, size in videos:
        shares = _shares(size, every, workers=workers, shortest_bytes=shortest_bytes)
        yield from (Unit(part, [name], share, shares) for share in range(shares))


def _shares(size: int, every: int, *, workers: int, shortest_bytes: int) -> int:
    """Returns how many shares a video of `size` bytes has in a run with `every` bytes of video."""
    needed = -(-_ROUNDS * workers * size // max(every, 1))
    shares = min(size // shortest_bytes, needed, _MOST_SHARES)
    if shares > workers:
        shares -= shares % workers  # otherwise some work alone in the last round
    return max(shares, 1)


def _images(before: int, workers: int) -> int:
    """Returns the images per unit after that many units: twice as many every four rounds."""
    return min(_FEWEST << min(before // (4 * workers), 16), _MOST)
