"""Shards as collections keep them, and malformed ones."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def write_tar(path: Path, members: Mapping[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def write_parquet(path: Path, images: list[bytes | None]) -> Path:
    """One column of structs, as in Hugging Face's data sets."""
    rows = [None if image is None else {"bytes": image, "path": "x.jpg"} for image in images]
    table = pa.table({"label": list(range(len(rows))), "image": rows})
    pq.write_table(table, path)
    return path
