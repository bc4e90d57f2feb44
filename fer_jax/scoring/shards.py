"""Replaces the shards among a run's inputs by the images they hold."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from fer_jax.media.shards import is_shard, shard_images
from fer_jax.scoring.views import Held


def opened_shards(paths: Iterable[Path]) -> Iterator[Path | Held]:
    """Yields the inputs in order: for a shard its images, named `shard.tar#name`, as they are read.

    A shard that cannot be read, or not to its end, is also an input, with an error.
    """
    for path in paths:
        if is_shard(path) and not os.path.isdir(path):
            yield from held_images(path, str(path))
        else:
            yield path


def input_count(paths: Iterable[Path]) -> int | None:
    """Returns how many inputs there are; None with a shard, which has to be read to be counted.

    A Parquet file's rows are in its metadata, but only the shard's own process may parse it.
    """
    count = 0
    for path in paths:
        if is_shard(path) and not os.path.isdir(path):
            return None
        count += 1
    return count


def held_images(path: Path, name: str) -> Iterator[Held]:
    """Yields the images of the shard at `path`, whose name in the rows is `name`."""
    for member in shard_images(path):
        named = f"{name}#{member.name}" if member.name else name
        data = None if member.error else member.data
        yield Held(Path(named), named, data, member.error)


def path_of(one: Path | Held) -> Path:
    """Returns the path by which a run remembers an input."""
    return one.path if isinstance(one, Held) else one
