"""Reads the images of a shard, a tar or Parquet file that holds many, one at a time.

Runs in a shard process (`media.shard_process`): the file is not to be trusted.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

SHARD_SUFFIXES = frozenset({".tar", ".parquet"})
IMAGES_OF_SHARDS = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff"}
)

_ROWS = 8  # of a Parquet file in memory
_BUFFER_BYTES = 1 << 20
# Columns that collections keep encoded images in, the likeliest first.
_COLUMNS = ("image", "jpg", "jpeg", "png", "img", "image_bytes", "bytes", "content", "data")


class BadShardError(ValueError):
    """A file that cannot be read as a shard; the message gives the reason without the file's name."""


class ShardMember(NamedTuple):
    """An image of a shard.

    Attributes:
        name: within the shard; "" if `error` is about the shard itself.
        data: the image file.
        error: why there is no data.
    """

    name: str
    data: bytes = b""
    error: str | None = None


def read_shard(file: BinaryIO, *, kind: str, most_bytes: int) -> Iterator[ShardMember]:
    """Yields the images in their order.

    Args:
        file: a regular file, at its beginning.
        kind: "tar" or "parquet". Of a tar, members with an image's ending are images; of a Parquet
            file, the values of one column of bytes, which are named by the numbers of their rows.
        most_bytes: of an image; a larger one has an `error`.

    Raises:
        BadShardError: it cannot be read, or not any further.
    """
    if kind == "tar":
        yield from _tar(file, most_bytes)
    else:
        yield from _parquet(file, most_bytes)


def _tar(file: BinaryIO, most_bytes: int) -> Iterator[ShardMember]:
    try:
        with tarfile.open(fileobj=file, mode="r:", ignore_zeros=False) as archive:
            for info in archive:
                # The archive would keep them all.
                archive.members = []  # pyright: ignore[reportAttributeAccessIssue]
                ending = info.name[info.name.rfind(".") :].lower()
                if not info.isreg() or ending not in IMAGES_OF_SHARDS:
                    continue
                if info.size > most_bytes:
                    yield ShardMember(info.name, error=_too_large(most_bytes))
                    continue
                member = archive.extractfile(info)
                assert member is not None
                data = member.read()
                if len(data) < info.size:
                    raise BadShardError("the shard is cut short")
                yield ShardMember(info.name, data)
            _check_end(archive, file)
    except tarfile.TarError as error:
        raise BadShardError(f"the shard is not a tar file, or is damaged ({error})") from None


def _check_end(archive: tarfile.TarFile, file: BinaryIO) -> None:
    """Raises BadShardError if no block of zeros ends the archive: more may have followed."""
    file.seek(max(0, archive.offset - tarfile.BLOCKSIZE))
    if file.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
        file.seek(archive.offset)
        if file.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
            raise BadShardError("the shard is cut short, or damaged")


def _parquet(file: BinaryIO, most_bytes: int) -> Iterator[ShardMember]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file, buffer_size=_BUFFER_BYTES, pre_buffer=False) as table:
            column = _image_column(table.schema_arrow)
            number = 0
            for batch in table.iter_batches(_ROWS, columns=[column]):
                for value in _values(batch.column(0)):
                    yield _member(str(number), value, most_bytes)
                    number += 1
    except pa.ArrowException as error:
        reason = " ".join(str(error).split())[:200]
        raise BadShardError(f"the shard is not a Parquet file, or is damaged ({reason})") from None


def _image_column(schema: Any) -> str:
    """Returns the column of bytes, or of structs with a field `bytes`; several are reported by name."""
    found = [field.name for field in schema if _holds_bytes(field.type)]
    known = [name for name in _COLUMNS if name in found]
    if not known and len(found) != 1:
        raise BadShardError(
            "the shard has no column of image bytes"
            if not found
            else f"the shard has several columns of bytes ({', '.join(found)[:100]}); "
            f"name the one with the images {_COLUMNS[0]}"
        )
    name = (known or found)[0]
    kind = schema.field(name).type
    return name if not _is_struct(kind) else f"{name}.bytes"


def _holds_bytes(kind: Any) -> bool:
    import pyarrow.types as types

    if _is_struct(kind):
        return kind.get_field_index("bytes") >= 0 and _holds_bytes(kind.field("bytes").type)
    return types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind)


def _is_struct(kind: Any) -> bool:
    import pyarrow.types as types

    return types.is_struct(kind)


def _values(column: Any) -> Iterator[Any]:
    """Yields buffers, so that a huge value is not copied before it is measured; None for a null."""
    if _is_struct(column.type):
        column = column.field("bytes")
    for value in column:
        yield value.as_buffer() if value.is_valid else None


def _member(name: str, value: Any, most_bytes: int) -> ShardMember:
    if value is None:
        return ShardMember(name, error="the row holds no image")
    if value.size > most_bytes:
        return ShardMember(name, error=_too_large(most_bytes))
    return ShardMember(name, value.to_pybytes())


def _too_large(most_bytes: int) -> str:
    return f"the image is larger than {most_bytes >> 20} MiB"
