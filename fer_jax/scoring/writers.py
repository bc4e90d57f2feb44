"""Writes and reads rows as `.csv`, `.jsonl` or `.parquet`, by the file's ending.

A file is written under a temporary name and renamed once complete, so that readers never see a partial
file and an older file stays until the new one is finished.
"""

from __future__ import annotations

import contextlib
import csv
import importlib.util
import json
import os
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from fer_jax.errors import FerError
from fer_jax.machine.json_files import parse_json
from fer_jax.machine.outputs import output_error, partial_path, try_file
from fer_jax.machine.terminal import printable
from fer_jax.scoring.rows import COLUMNS, Row, Value, row_of

Values = list[Value]

_BATCH = 4096  # rows in a Parquet row group and in memory


def check_output(path: Path) -> None:
    """Checks that rows can be written to `path`, before any work is done.

    Raises:
        FerError: as `check_ending`, or an error of `try_file`.
    """
    check_ending(path)
    try_file(path, flag="--out")


def check_ending(path: Path) -> None:
    """Checks that the ending of `path` names a format that can be written.

    Raises:
        FerError: an unknown ending, or pyarrow is missing.
    """
    if path.suffix.lower() not in _FORMATS:
        raise FerError(
            f"--out {printable(path)}: cannot write this format; its name must end in {_ENDINGS}"
        )
    if path.suffix.lower() == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise FerError(
            f"--out {printable(path)}: Parquet needs pyarrow; "
            'pip install "fer_jax[parquet]", or write .csv or .jsonl'
        )


def write_values(path: Path, rows: Iterable[Values], *, safe_csv: bool = False) -> None:
    """Replaces `path` with a file of rows once all of them are on disk; memory stays bounded.

    Args:
        path: one that `check_output` accepts.
        rows: each row's values by column; may be read from the file being replaced.
        safe_csv: put a ' before texts of a .csv that spreadsheets would treat as formulas.

    Raises:
        OutputError: it cannot be written; an existing file is kept.
    """
    partial = partial_path(path)
    write = _FORMATS[path.suffix.lower()][0]
    if safe_csv and write is _write_csv:
        write = _write_safe_csv
    try:
        write(partial, rows)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise output_error(path, error) from error
    finally:
        with contextlib.suppress(OSError):  # its folder is gone
            partial.unlink(missing_ok=True)


def read_rows(path: Path) -> Iterator[Row]:
    """Yields the rows of a file; see `read_values`."""
    return map(row_of, read_values(path))


def read_values(path: Path) -> Iterator[Values]:
    """Yields the values of a file's rows by column, a few rows at a time.

    Raises:
        FerError: the file has another format or is damaged.
    """
    read = _FORMATS[path.suffix.lower()][1]
    try:
        yield from read(path)
    except (ValueError, KeyError, IndexError, csv.Error) as error:  # pyarrow's are ValueErrors
        reason = " ".join(str(error).split())[:200]
        raise FerError(
            f"{printable(path)}: is not a file of scored faces ({reason}); "
            "name another --out, or leave out --append to replace it"
        ) from error


def _write_csv(path: Path, rows: Iterable[Values]) -> None:
    _write_cells(path, (csv_cells(values, safe=False) for values in rows))


def _write_safe_csv(path: Path, rows: Iterable[Values]) -> None:
    _write_cells(path, (csv_cells(values, safe=True) for values in rows))


def _write_cells(path: Path, rows: Iterable[Values]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)


# A spreadsheet treats a cell that starts with one of these as a formula and runs it (CWE-1236). A '
# before it makes the cell a text; it is removed when rows are read back.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_QUOTE = "'"


def csv_cells(values: Values, *, safe: bool) -> Values:
    """Returns a row's values as a .csv has them.

    Formulas are quoted if `safe`, and texts that would be read as quoted; booleans are words.
    """
    cells = [
        f"{_QUOTE}{value}"
        if isinstance(value, str) and (_is_quoted(value) or (safe and value.startswith(_FORMULA)))
        else value
        for value in values
    ]
    if (uncertain := cells[_UNCERTAIN]) is not None:
        cells[_UNCERTAIN] = "true" if uncertain else "false"
    return cells


def _is_quoted(text: str) -> bool:
    return text.startswith(_QUOTE) and text[1:].startswith((*_FORMULA, _QUOTE))


def _text(cell: str) -> str:
    return cell[1:] if _is_quoted(cell) else cell


def _read_csv(path: Path) -> Iterator[Values]:
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file, strict=True)
        _check_columns(next(reader, []))
        for cells in reader:
            yield [
                parse(cell) if cell else None for parse, cell in zip(_PARSERS, cells, strict=True)
            ]


def _truth(cell: str) -> bool:
    return {"true": True, "false": False}[cell]


_UNCERTAIN = list(COLUMNS).index("uncertain")
_PARSERS: list[Callable[[str], Value]] = [
    {bool: _truth, str: _text}.get(kind, kind) for kind in COLUMNS.values()
]


def _write_jsonl(path: Path, rows: Iterable[Values]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for values in rows:
            record = dict(zip(COLUMNS, values, strict=True))
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


def _read_jsonl(path: Path) -> Iterator[Values]:
    with path.open(encoding="utf-8", newline="\n") as file:
        for line in file:
            record = parse_json(line)
            _check_columns(list(record))
            yield list(record.values())


def _write_parquet(path: Path, rows: Iterable[Values]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    schema = pa.schema([(name, kinds[kind]) for name, kind in COLUMNS.items()])
    rows = iter(rows)
    with pq.ParquetWriter(path, schema) as writer:
        while batch := list(islice(rows, _BATCH)):
            columns = zip(*batch, strict=True)
            arrays = [
                pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)
            ]
            writer.write_batch(pa.record_batch(arrays, schema=schema))


def _read_parquet(path: Path) -> Iterator[Values]:
    import pyarrow.parquet as pq

    with contextlib.closing(pq.ParquetFile(path)) as file:
        _check_columns(file.schema_arrow.names)
        for batch in file.iter_batches(_BATCH):
            columns: list[Any] = [column.to_pylist() for column in batch.columns]
            yield from (list(values) for values in zip(*columns, strict=True))


def _check_columns(names: list[str]) -> None:
    if names != list(COLUMNS):
        raise ValueError(f"its columns are {', '.join(names)[:80] or 'none'}")


_FORMATS: dict[
    str, tuple[Callable[[Path, Iterable[Values]], None], Callable[[Path], Iterator[Values]]]
] = {
    ".csv": (_write_csv, _read_csv),
    ".jsonl": (_write_jsonl, _read_jsonl),
    ".parquet": (_write_parquet, _read_parquet),
}
_ENDINGS = ", ".join(list(_FORMATS)[:-1]) + " or " + list(_FORMATS)[-1]
