"""An output in parts: a folder of files of rows, written by many workers, each file complete or absent.

`faces.parquet/part-00000007.parquet` holds the rows of one unit. A unit that is scored again, because a
node died, writes the same file again, so that every input appears once. `_run.json` records what the
rows depend on and which run writes; a run that another one has taken over stops.
"""

from __future__ import annotations

import contextlib
import json
import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_jax.cluster.storage import errors_as, fetch, is_uri, place, reason_of, shown
from fer_jax.errors import FerError, OutputError
from fer_jax.machine.json_files import parse_json
from fer_jax.machine.outputs import FULL_DISK, output_error
from fer_jax.machine.terminal import printable
from fer_jax.media.images import MediaError
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
        with self._client():
            self._system().delete_file(self._path("_try"))

    def take_over(self, run: str, options: dict[str, Any]) -> bool:
        """Makes `run` the one that writes; returns whether an earlier one is continued.

        Raises:
            FerError: the earlier one had other options, or the storage refuses.
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
            with self._client():
                self._system().delete_dir(self._path(_SHARES))
        return bool(before)

    def check_ours(self, run: str) -> None:
        """Raises FerError if another run has taken over: it scores what `run` has not written."""
        if self._record().get("run") != run:
            raise FerError(f"{printable(shown(self.out))}: another run has taken it over")

    def numbers(self) -> list[int]:
        """Returns the numbers of the existing parts, in order.

        Raises:
            OutputError: the storage does not list them.
        """
        from pyarrow.fs import FileSelector

        with self._client("listed"):
            folder = FileSelector(self._place.path, allow_not_found=True)
            found = self._system().get_file_info(folder)
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
        """Yields the rows of a part.

        Raises:
            OutputError: it cannot be read, or copied to this machine.
        """
        name = f"part-{number:08}{self._ending}"
        with tempfile.TemporaryDirectory(prefix="fer_jax-") as folder:
            try:
                yield from read_values(fetch(self._uri(name), Path(folder)))
            except OutputError:
                raise
            except MediaError as error:
                raise self._unreadable(name, error.reason) from error
            except FerError as error:
                raise self._unreadable(name, "it is not a file of scored faces") from error

    def statuses(self, number: int) -> Iterator[tuple[str, str]]:
        """Yields the path, as rows write it, and the status of each of a part's rows.

        Raises:
            OutputError: the part cannot be read.
        """
        if self._ending != ".parquet":
            rows = map(row_of, self.values(number))
            yield from ((row.path, row.status) for row in rows)
            return
        import pyarrow.parquet as pq

        name = f"part-{number:08}.parquet"
        with (
            errors_as(lambda error: self._unreadable(name, reason_of(error))),
            self._system().open_input_file(self._path(name)) as file,
        ):
            for batch in pq.ParquetFile(file).iter_batches(columns=["path", "status"]):
                paths, statuses = (batch.column(one).to_pylist() for one in ("path", "status"))
                yield from zip(paths, statuses, strict=True)

    def write_share(self, run: str, number: int, share: int, table: Any) -> None:
        """Writes what a share of a video holds, for `stitch`.

        Shares lie below the name of the run that cut the video: another one may cut it elsewhere.

        Raises:
            OutputError: it cannot be written.
        """
        import pyarrow.parquet as pq

        with tempfile.TemporaryDirectory(prefix="fer_jax-") as folder:
            file = Path(folder, "share.parquet")
            with self._client():
                pq.write_table(table, file)
            self._copy(file, _share(run, number, share))

    def share(self, run: str, number: int, share: int) -> Iterator[dict[str, Any]]:
        """Yields the rows of a share's table, a few at a time in memory.

        Raises:
            OutputError: it cannot be read.
        """
        import pyarrow.parquet as pq

        path = self._path(_share(run, number, share))
        with self._client("read"), self._system().open_input_file(path) as file:
            for batch in pq.ParquetFile(file).iter_batches(1024):
                yield from batch.to_pylist()

    def drop_shares(self, run: str) -> None:
        """Removes the shares of a run whose parts are written.

        Raises:
            OutputError: the storage refuses.
        """
        with self._client("removed"):
            self._system().delete_dir(self._path(f"{_SHARES}/{run}"))

    def _record(self) -> dict[str, Any]:
        def unknown(why: object) -> FerError:
            record = f"{printable(shown(self.out))}/{_RECORD}"
            return FerError(f"{record}: cannot be read ({why}); name another --out")

        with errors_as(lambda error: unknown(reason_of(error))):
            try:
                with self._system().open_input_stream(self._path(_RECORD)) as stream:
                    content = stream.read(1 << 20)
            except FileNotFoundError:
                return {}
        try:
            record = parse_json(content)
        except ValueError as error:
            raise unknown(error) from error
        if not isinstance(record, dict):
            raise unknown("it holds no object")
        return record

    def _copy(self, file: Path, name: str) -> None:
        with file.open("rb") as source:
            self._write(name, source)

    def _write(self, name: str, content: Any) -> None:
        """Writes a file that is complete or absent: object stores do that, others rename."""
        system, target = self._system(), self._path(name)
        renames = "local" in system.type_name or "hdfs" in system.type_name
        written = self._path(f".{name.replace('/', '-')}.{id(content)}") if renames else target
        with self._client():
            system.create_dir(target.rpartition("/")[0], recursive=True)
        try:
            with self._client():
                with system.open_output_stream(written) as stream:
                    if isinstance(content, bytes):
                        stream.write(content)
                    else:
                        while chunk := content.read(1 << 20):
                            stream.write(chunk)
                if renames:
                    system.move(written, target)
        except OutputError:
            # A client that is closed after an error may complete a file that is cut short.
            with contextlib.suppress(OutputError), self._client():  # the first error is reported
                system.delete_file(written)
            raise

    @contextlib.contextmanager
    def _client(self, doing: str = "written") -> Iterator[None]:
        """Turns what a filesystem's client raises within into an OutputError; see `errors_as`."""

        def told(error: Exception) -> OutputError:
            if isinstance(error, OSError) and error.errno in FULL_DISK:
                return output_error(shown(self.out), error)
            what = f"{printable(shown(self.out))}: cannot be {doing} ({reason_of(error)})"
            if doing == "written":
                return OutputError(f"{what}; name another place")
            return OutputError(f"{what}; allow it and run the same command again")

        with errors_as(told):
            yield

    def _unreadable(self, name: str, why: str) -> OutputError:
        what = f"{printable(shown(self._uri(name)))}: cannot be read ({why})"
        return OutputError(f"{what}; restore or remove it, and run the same command again")

    def _system(self) -> Any:
        return self._place.system

    def _info(self, name: str) -> FileInfo:
        with self._client():
            return self._system().get_file_info(self._path(name) if name else self._place.path)

    def _path(self, name: str) -> str:
        return f"{self._place.path.rstrip('/')}/{name}"

    def _uri(self, name: str) -> str:
        bare, mark, query = self.out.partition("?") if is_uri(self.out) else (self.out, "", "")
        return f"{bare.rstrip('/')}/{name}{mark}{query}"


def _share(run: str, number: int, share: int) -> str:
    return f"{_SHARES}/{run}/{number:08}-{share:03}.parquet"
