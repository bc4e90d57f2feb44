"""Shards, in which large collections are kept: tar (WebDataset) and Parquet files of many images.

A separate process reads them, so that a crash on a shard cannot harm its owner. Images arrive one at a
time; a shard of any size costs the memory of a few.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from fer_jax.media.child import DecoderChild
from fer_jax.media.decoder_wire import DecoderWireError
from fer_jax.media.images import MediaError, open_regular
from fer_jax.media.shard_formats import SHARD_SUFFIXES, BadShardError, ShardMember, read_shard
from fer_jax.media.shard_wire import Told, receive_told, send_shard

SHARD_IMAGE_BYTES = 64 << 20  # of one image
_WITHIN_S = 120.0  # for one image; the first includes the start of the process
_MODULE = "fer_jax.media.shard_process"
_UNUSED = 4096  # bytes of shared memory, which a shard process does not need


def is_shard(path: Path | str) -> bool:
    """Returns whether a name is one of a shard."""
    return os.path.splitext(path)[1].lower() in SHARD_SUFFIXES


def shard_images(path: Path) -> Iterator[ShardMember]:
    """Yields the images of a shard as they are read, each with its data or the reason why not.

    What is wrong with the shard itself comes last, under the name "".

    Args:
        path: a regular file that ends in one of `SHARD_SUFFIXES`.

    Raises:
        DecoderUnavailableError: no process can be started.
    """
    kind = os.path.splitext(path)[1].lower()[1:]
    count, error = 0, None
    try:
        with open_regular(path) as file:
            read = _isolated if os.name == "posix" else _here
            for member in read(file, kind):
                yield member
                count += 1
    except (MediaError, BadShardError) as problem:
        error = problem.reason if isinstance(problem, MediaError) else str(problem)
    if error is None and not count:
        error = "the shard holds no image"
    if error is not None:
        yield ShardMember("", error=f"{error}; {count:,} images were read" if count else error)


def _here(file: BinaryIO, kind: str) -> Iterator[ShardMember]:
    yield from read_shard(file, kind=kind, most_bytes=SHARD_IMAGE_BYTES)


def _isolated(file: BinaryIO, kind: str) -> Iterator[ShardMember]:
    child = DecoderChild(_MODULE, SHARD_IMAGE_BYTES, what="shard", memory_bytes=_UNUSED)
    with contextlib.closing(child):
        # One allocator that respects the limit of memory, without its own threads.
        child.start(ARROW_DEFAULT_MEMORY_POOL="system", OMP_NUM_THREADS="1", MALLOC_ARENA_MAX="2")
        assert child.wire is not None
        try:
            send_shard(child.wire, kind, file.fileno())
            while True:
                told = receive_told(child.wire, most_bytes=SHARD_IMAGE_BYTES, seconds=_WITHIN_S)
                if told.kind == Told.END:
                    return
                if told.kind == Told.FAILED:
                    raise BadShardError(told.text)
                if told.kind == Told.REFUSED:
                    yield ShardMember(told.name, error=told.text)
                else:
                    yield ShardMember(told.name, told.content)
        except TimeoutError:
            raise BadShardError(f"an image of the shard takes more than {_WITHIN_S:g} s") from None
        except DecoderWireError:
            raise BadShardError(f"the shard's reader crashed ({child.end()})") from None
