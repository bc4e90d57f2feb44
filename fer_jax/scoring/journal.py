"""The rows of a run that is not finished: what is in it survives being killed at any moment.

`.faces.csv.partial` next to `faces.csv` holds JSON lines: the run's options, then each input's rows and
a mark that the input is finished. On resume, anything after the last such mark is discarded, so that no
row is lost or duplicated.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Literal

from fer_jax.errors import FerError
from fer_jax.machine.json_files import parse_json
from fer_jax.machine.locking import lock
from fer_jax.machine.outputs import output_error
from fer_jax.machine.terminal import printable
from fer_jax.scoring.finished import FinishedInputs
from fer_jax.scoring.rows import COLUMNS, Row, Status, path_from_text, path_text, row_of
from fer_jax.scoring.writers import read_rows, read_values, write_values

_SYNC_S = 1.0  # the most work that a power cut takes; a killed process loses only unfinished inputs


class Journal:
    """One output's unfinished rows; a context manager that keeps them unless `remove` was called.

    Attributes:
        path: of the journal.
        finished: the inputs that need no more scoring.
        faces: rows with a face in the journal, also those of earlier, interrupted runs.
        inputs: how many inputs the journal holds, by their status.
        continued: "interrupted" or "finished", after the run whose rows are kept; None for none.
        kept_unreadable: inputs that `out` calls unreadable and that are kept.
        discarded: an interrupted run's journal was there and is not continued.
    """

    def __init__(self, out: Path, options: Mapping[str, Any], *, resume: bool) -> None:
        """Opens the journal of `out` and locks it.

        Args:
            out: the file that the rows are for.
            options: what rows depend on, in JSON's types; a journal of other options is not continued.
            resume: keeps an interrupted run's rows, or without one those of a finished `out`.

        Raises:
            FerError: another run is writing, or the interrupted run had other options.
        """
        self.path = out.with_name(f".{out.name}.partial")
        self.faces = self.kept_unreadable = 0
        self.inputs: dict[Status, int] = {"ok": 0, "no_face": 0, "unreadable": 0}
        self.finished = FinishedInputs()
        self.continued: Literal["interrupted", "finished"] | None = None
        self._out = out
        self._file = _locked(self.path)
        try:
            header = self._read(options) if resume else None
            self.discarded = not resume and os.fstat(self._file.fileno()).st_size > 0
            self._start(options, header, resume=resume)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *exception: object) -> None:
        self.finished.close()
        if not any(self.inputs.values()):
            self.path.unlink(missing_ok=True)  # nothing in it to resume from
        self._file.close()

    def write(self, row: Row, *, image: str | None = None) -> None:
        """Adds a row of the input that is being scored, and an image of its face for the summary."""
        values: list[Any] = row.values()
        if image is not None:
            values.append(image)
        self._add(values)
        self.faces += row.status == "ok"

    def close_input(self, path: Path, status: Status) -> None:
        """Marks an input as finished: after the next `flush` it survives."""
        self._add({"done": path_text(path), "status": status})
        self.inputs[status] += 1

    def flush(self) -> None:
        """Writes down all finished inputs: they survive when the process is killed.

        Raises:
            OutputError: they cannot be written.
        """
        try:
            self._file.flush()
        except OSError as error:
            raise output_error(self.path, error) from error
        if time.monotonic() > self._synced + _SYNC_S:
            self._sync()

    def rows(self) -> Iterator[tuple[Row, str | None]]:
        """Gives the rows of all finished inputs, first those kept from `out`, with their images."""
        for record in self._records():
            image = record[len(COLUMNS)] if len(record) > len(COLUMNS) else None
            yield row_of(record), image

    def deliver(self, *, safe_csv: bool = False) -> None:
        """Replaces `out` by all the rows; nothing can be read from the journal after that.

        Args:
            safe_csv: as `write_values` takes it.

        Raises:
            OutputError: it cannot be written.
        """
        rows = (record[: len(COLUMNS)] for record in self._records())
        write_values(self._out, rows, safe_csv=safe_csv)

    def remove(self) -> None:
        """Removes the journal, once nothing is left to do; until then a resumed run begins with it."""
        self.path.unlink()

    def _records(self) -> Iterator[list[Any]]:
        """Gives the rows' values, with an image after some."""
        if self._keeps_out:
            yield from read_values(self._out)
        self.flush()
        with self.path.open("rb") as file:
            for line in file:
                if line.startswith(b"["):
                    yield json.loads(line)

    def _read(self, options: Mapping[str, Any]) -> dict[str, Any] | None:
        """Takes over what an interrupted run finished, and returns its first line; None without one."""
        self._file.seek(0)
        header = _record(self._file.readline())
        if not isinstance(header, dict) or "options" not in header:
            return None
        _check_options(self._out, was=header["options"], now=options)
        if header["keeps"] not in (None, _identity(self._out)):
            # It was killed between replacing the output and removing the journal, or somebody else
            # changed the output: everything that counts is in it.
            return None
        end = self._file.tell()
        faces = 0
        while (record := _record(self._file.readline())) is not None:
            if isinstance(record, list):
                faces += record[_STATUS] == "ok"
                continue
            self.finished.add(path_from_text(record["done"]))
            self.inputs[record["status"]] += 1
            self.faces, faces = self.faces + faces, 0
            end = self._file.tell()
        self._file.truncate(end)
        return header

    def _start(
        self, options: Mapping[str, Any], header: dict[str, Any] | None, *, resume: bool
    ) -> None:
        self._synced = time.monotonic()
        if header is not None:
            self.continued = "interrupted"
            self._keeps_out = header["keeps"] is not None
        else:
            self._keeps_out = resume and self._out.exists()
            self.continued = "finished" if self._keeps_out else None
            self._file.truncate(0)
            keeps = _identity(self._out) if self._keeps_out else None
            self._add({"options": options, "keeps": keeps})
        if self._keeps_out:
            inputs = itertools.groupby(read_rows(self._out), key=lambda row: row.path)
            for text, rows in inputs:
                self.finished.add(path_from_text(text), always=True)
                self.kept_unreadable += any(row.status == "unreadable" for row in rows)

    def _add(self, record: dict[str, Any] | Sequence[Any]) -> None:
        self._file.write(json.dumps(record, ensure_ascii=False).encode() + b"\n")

    def _sync(self) -> None:
        self._synced = time.monotonic()
        self.flush()
        os.fsync(self._file.fileno())


_STATUS = list(COLUMNS).index("status")


def _locked(path: Path) -> BinaryIO:
    """Opens `path`, made if need be, for this process alone; the lock ends with the process."""
    while True:
        file = path.open("a+b")
        try:
            lock(file)
        except BlockingIOError:
            file.close()
            raise FerError(
                f"{printable(path)}: another run is writing this output; wait for it, "
                "or name another --out"
            ) from None
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()  # the run that had it has just finished and removed it


def _record(line: bytes) -> Any:
    """A line's content; None for one that is cut, or that never reached the disk."""
    if not line.endswith(b"\n"):
        return None
    try:
        return parse_json(line)
    except ValueError:
        return None


def _check_options(out: Path, *, was: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    for name in {**was, **now}:
        if was.get(name) != now.get(name):
            raise FerError(
                f"--resume: the interrupted run of {printable(out)} had {name} {was.get(name)}, "
                f"this one has {now.get(name)}; use the same again, or leave out --resume to start over"
            )


def _identity(path: Path) -> list[int] | None:
    """Distinguishes a file from the one that replaces it."""
    if not path.exists():
        return None
    status = path.stat()
    return [status.st_ino, status.st_size, status.st_mtime_ns]
