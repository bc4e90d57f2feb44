"""An output in parts: a folder of files of rows, written by many workers, each file whole or not there.

`faces.parquet/part-00000007.parquet` holds the rows of one unit. A unit that is scored again, because a
node died, writes the same file again, so that every input is there once. `_run.json` says what the rows
depend on and which run writes; a run that another one has taken over stops.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_jax.cluster.storage import fetch, is_uri, place, shown
from fer_jax.errors import FerError, OutputError
from fer_jax.machine.json_files import parse_json
from fer_jax.machine.outputs import output_error
from fer_jax.machine.terminal import printable
from fer_jax.scoring.rows import row_of
from fer_jax.scoring.writers import Values, check_ending, read_values, write_values

if TYPE_CHECKING:
    from pyarrow.fs import FileInfo

_PART = re.compile(r"part-(\d{8})\.\w+")
_RECORD = "_run.json"
_SHARES = "_shares"


class Parts:
    """The folder of an output; any number of workers write to it."""

    def __init__(self, out: str) -> None:
        """Connects to nothing yet.

        Args:
            out: a folder or a URI that ends in .parquet, .csv or .jsonl, the format of the parts.

        Raises:
            FerError: another ending, or a URI that cannot be opened.
        """
        self.out = out
        self._ending = Path(shown(out)).suffix.lower()
        check_ending(Path(shown(out)))
        self._place = place(out)

    def prepare(self) -> None:
        """Makes the folder and writes into it.

        Raises:
            FerError: it cannot be made, or a file is in its place.
        """
        if self._info("").is_file:
            raise FerError(
                f"--out {printable(shown(self.out))}: is a file; a run on a cluster writes a folder"
            )
        self._write("_try", b"\0")
        self._system().delete_file(self._path("_try"))

    def take_over(self, run: str, options: dict[str, Any]) -> bool:
        """Makes `run` the one that writes; returns whether an earlier one is continued.

        Raises:
            FerError: the earlier one had other options.
        """
        before = self._record()
        was = before.get("options", options)
        for name in {**was, **options}:
            if was.get(name) != options.get(name):
                raise FerError(
                    f"{printable(shown(self.out))}: its rows were made with {name} {was.get(name)}, "
                    f"not {options.get(name)}; use the same again, or name another --out"
                )
        self._write(_RECORD, json.dumps({"run": run, "options": options}).encode())
        if self._info(_SHARES).type.name == "Directory":
            self._system().delete_dir(self._path(_SHARES))
        return bool(before)

    def check_ours(self, run: str) -> None:
        """Raises FerError if another run has taken over: it scores what `run` has not written."""
        if self._record().get("run") != run:
            raise FerError(f"{printable(shown(self.out))}: another run has taken it over")

    def numbers(self) -> list[int]:
        """Returns the numbers of the parts that are there, in order."""
        from pyarrow.fs import FileSelector

        found = self._system().get_file_info(FileSelector(self._place.path, allow_not_found=True))
        matches = (_PART.fullmatch(one.base_name) for one in found)
        return sorted(int(match[1]) for match in matches if match)

    def write(self, number: int, rows: Iterable[Values], *, safe_csv: bool = False) -> None:
        """Writes a part, or replaces it by the same rows.

        Raises:
            OutputError: it cannot be written.
        """
        with tempfile.TemporaryDirectory(prefix="fer_jax-") as folder:
            file = Path(folder, f"part-{number:08}{self._ending}")
            write_values(file, rows, safe_csv=safe_csv)
            self._copy(file, file.name)

    def values(self, number: int) -> Iterator[Values]:
        """Yields the rows of a part."""
        name = f"part-{number:08}{self._ending}"
        with tempfile.TemporaryDirectory(prefix="fer_jax-") as folder:
            yield from read_values(fetch(self._uri(name), Path(folder)))

    def statuses(self, number: int) -> Iterator[tuple[str, str]]:
        """Yields the path, as rows write it, and the status of each of a part's rows."""
        if self._ending != ".parquet":
            rows = map(row_of, self.values(number))
            yield from ((row.path, row.status) for row in rows)
            return
        import pyarrow.parquet as pq

        path = self._path(f"part-{number:08}.parquet")
        with self._system().open_input_file(path) as file:
            for batch in pq.ParquetFile(file).iter_batches(columns=["path", "status"]):
                paths, statuses = (batch.column(name).to_pylist() for name in ("path", "status"))
                yield from zip(paths, statuses, strict=True)

    def write_share(self, number: int, share: int, table: Any) -> None:
        """Writes what a share of a video holds, for `stitch`."""
        import pyarrow.parquet as pq

        with tempfile.TemporaryDirectory(prefix="fer_jax-") as folder:
            file = Path(folder, "share.parquet")
            pq.write_table(table, file)
            self._copy(file, f"{_SHARES}/{number:08}-{share:03}.parquet")

    def share(self, number: int, share: int) -> Iterator[dict[str, Any]]:
        """Yields the rows of a share's table, a few at a time in memory."""
        import pyarrow.parquet as pq

        path = self._path(f"{_SHARES}/{number:08}-{share:03}.parquet")
        with self._system().open_input_file(path) as file:
            for batch in pq.ParquetFile(file).iter_batches(1024):
                yield from batch.to_pylist()

    def drop_shares(self, number: int, shares: int) -> None:
        """Removes the shares of a video whose part is written."""
        for share in range(shares):
            self._system().delete_file(self._path(f"{_SHARES}/{number:08}-{share:03}.parquet"))

    def _record(self) -> dict[str, Any]:
        try:
            with self._system().open_input_stream(self._path(_RECORD)) as stream:
                record = parse_json(stream.read(1 << 20))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError):
            record = None
        if not isinstance(record, dict):
            raise FerError(
                f"{printable(shown(self.out))}/{_RECORD}: cannot be read; name another --out"
            )
        return record

    def _copy(self, file: Path, name: str) -> None:
        with file.open("rb") as source:
            self._write(name, source)

    def _write(self, name: str, content: Any) -> None:
        """Writes a file that is whole or not there: object stores do that, others rename."""
        system, target = self._system(), self._path(name)
        renames = "local" in system.type_name or "hdfs" in system.type_name
        written = self._path(f".{name.replace('/', '-')}.{id(content)}") if renames else target
        try:
            system.create_dir(target.rpartition("/")[0], recursive=True)
            with system.open_output_stream(written) as stream:
                if isinstance(content, bytes):
                    stream.write(content)
                else:
                    while chunk := content.read(1 << 20):
                        stream.write(chunk)
            if renames:
                system.move(written, target)
        except OSError as error:
            raise OutputError(str(output_error(Path(shown(self.out)), error))) from error

    def _system(self) -> Any:
        return self._place.system

    def _info(self, name: str) -> FileInfo:
        return self._system().get_file_info(self._path(name) if name else self._place.path)

    def _path(self, name: str) -> str:
        return f"{self._place.path.rstrip('/')}/{name}"

    def _uri(self, name: str) -> str:
        bare, mark, query = self.out.partition("?") if is_uri(self.out) else (self.out, "", "")
        return f"{bare.rstrip('/')}/{name}{mark}{query}"
