"""A worker of the cluster: one network, a few threads, and decoder processes that may die."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import tempfile
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from fer_jax.cluster import storage
from fer_jax.cluster.parts import Parts
from fer_jax.cluster.shares import share_table, stitched
from fer_jax.cluster.units import Unit
from fer_jax.errors import FerError
from fer_jax.faces.detect import DetectSize, make_detector
from fer_jax.media.closing import ClosedAtExit
from fer_jax.media.decoder import Decoder
from fer_jax.media.images import MediaError, most_file_bytes
from fer_jax.media.kinds import VIDEO_SUFFIXES
from fer_jax.media.shards import is_shard
from fer_jax.media.video_decoder import video_decoder
from fer_jax.scoring.accounting import Accountant
from fer_jax.scoring.pipeline import ScoringPipeline
from fer_jax.scoring.rows import Row
from fer_jax.scoring.shards import held_images
from fer_jax.scoring.stages import Stages
from fer_jax.scoring.views import Held, View, views
from fer_jax.scoring.writers import Values

_AHEAD = 16  # files that are being read from a cloud while others are scored
_MOST_NOTES = 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """What every worker of a run knows.

    Attributes:
        out: where the parts go.
        run: name of the run, which must not be taken over by another.
        checkpoint: as `Predictor.load` takes it.
        digest: of the network that every node must have.
        detector, detect_size, every, fps, max_pixels, batch_size, safe_csv, first_frame, rotate: as for
            `ScoringOptions`.
        threads: of each worker.
        folder: that names of files are relative to.
    """

    out: str
    run: str
    checkpoint: str | None
    digest: str
    detector: str
    detect_size: DetectSize
    every: int
    fps: float | None
    max_pixels: int
    batch_size: int
    safe_csv: bool
    threads: int
    folder: str
    first_frame: bool = False
    rotate: bool = False


class ScoringWorker(ClosedAtExit):
    """Scores units and writes their parts; a Ray actor, for one unit at a time."""

    def __init__(self, job: Job) -> None:
        """Loads the network.

        Raises:
            FerError: the network is not that of the run.
        """
        import cv2

        # XLA reads it once, at the first use of JAX.
        os.environ["NPROC"] = str(job.threads)
        from fer_jax.inference.predictor import Predictor

        cv2.setNumThreads(1)
        self._job, self._parts = job, Parts(job.out)
        predictor = Predictor.load(job.checkpoint, max_batch=job.batch_size)
        if predictor.saved.digest != job.digest:
            raise FerError("a node has another network under this name; copy it to all of them")
        self._stages = Stages(
            detector=make_detector(job.detector, detect_size=job.detect_size),
            recognise=predictor,
            batch_size=job.batch_size,
            max_pixels=job.max_pixels,
            threads=job.threads,
            decoders=self._lend,
            rotate=job.rotate,
        )
        self._decoders: list[Decoder] = []
        self._videos = video_decoder(job.max_pixels)
        self._readers = ThreadPoolExecutor(_AHEAD, thread_name_prefix="read")

    def close(self) -> None:
        """Ends its decoders."""
        self._readers.shutdown()
        for decoder in (*self._decoders, self._videos):
            decoder.close()

    def __call__(self, table: Any) -> Any:
        """Scores the units of a table and returns a table of what was found in each."""
        import pyarrow as pa

        return pa.Table.from_pylist([self._done(Unit.of(row)) for row in table.to_pylist()])

    def score(self, unit: Unit) -> dict[str, Any]:
        """Scores a unit and writes its part, or its share of a video.

        Returns:
            How many inputs there were by status, how many faces, and a few lines about them.

        Raises:
            FerError: the output cannot be written, or belongs to another run by now.
        """
        found = _Found()
        with tempfile.TemporaryDirectory(prefix="fer_jax-") as folder:
            ready = self._views(unit, Path(folder))
            if unit.shares > 1:
                table = share_table(ready)
                self._parts.check_ours(self._job.run)
                self._parts.write_share(self._job.run, unit.part, unit.share, table)
            else:
                rows = found.counted(ready)
                self._parts.write(
                    unit.part,
                    _ours_at_the_end((row.values() for row in rows), self._parts, self._job.run),
                    safe_csv=self._job.safe_csv,
                )
        return found.summary()

    def _done(self, unit: Unit) -> dict[str, Any]:
        about = {"part": unit.part, "share": unit.share, "failure": ""}
        try:
            return {**about, **self.score(unit)}
        except FerError as error:
            return {**about, **_Found().summary(), "failure": str(error)}

    def _views(self, unit: Unit, folder: Path) -> Iterator[View]:
        job = self._job
        opened = partial(
            self._videos.opened, every=job.every, fps=job.fps, share=(unit.share, unit.shares)
        )
        source = views(self._inputs(unit.names, folder), opened, first_frame=job.first_frame)
        with ScoringPipeline(source, self._stages) as pipeline:
            for ready in pipeline:
                yield from ready

    def _inputs(self, names: list[str], folder: Path) -> Iterator[Held]:
        """Yields the inputs; remote ones are read a few files ahead."""
        ahead: deque[Future[Held]] = deque()
        for name in names:
            if storage.is_uri(name):
                ahead.append(self._readers.submit(self._read, name, folder))
            else:
                ahead.append(Future())
                ahead[-1].set_result(Held(Path(self._job.folder, name), name))
            if len(ahead) > _AHEAD:
                yield from _images_of(ahead.popleft().result())
        while ahead:
            yield from _images_of(ahead.popleft().result())

    def _read(self, name: str, folder: Path) -> Held:
        shown = storage.shown(name)
        try:
            if is_shard(shown) or Path(shown).suffix.lower() in VIDEO_SUFFIXES:
                return Held(storage.fetch(name, folder), shown)
            data = storage.read(name, most=most_file_bytes(self._job.max_pixels))
        except MediaError as error:
            return Held(Path(shown), shown, error=error.reason)
        return Held(Path(shown), shown, data)

    @contextlib.contextmanager
    def _lend(self) -> Iterator[Decoder]:
        """Keeps decoder processes from one unit to the next: they take a while to start."""
        try:
            decoder = self._decoders.pop()
        except IndexError:
            decoder = Decoder(max_pixels=self._job.max_pixels)
        try:
            yield decoder
        finally:
            self._decoders.append(decoder)


def stitch(job: Job, part: int, name: str, shares: int) -> dict[str, Any]:
    """Writes the part of a video from its shares, and returns what `ScoringWorker.score` does."""
    parts, found = Parts(job.out), _Found()
    parts.check_ours(job.run)  # whoever took over has removed the shares
    rows = found.rows(stitched(parts, job.run, part, name, shares))
    values = _ours_at_the_end((row.values() for row in rows), parts, job.run)
    parts.write(part, values, safe_csv=job.safe_csv)
    return found.summary()


def _ours_at_the_end(rows: Iterator[Values], parts: Parts, run: str) -> Iterator[Values]:
    """Passes rows on; a part whose run was taken over meanwhile is not completed."""
    yield from rows
    parts.check_ours(run)


def _images_of(held: Held) -> Iterator[Held]:
    if held.data is None and held.error is None and is_shard(held.path):
        yield from held_images(held.path, held.name or str(held.path))
    else:
        yield held


class _Found:
    """Counts what passes."""

    def __init__(self) -> None:
        self._inputs: Counter[str] = Counter()
        self._faces = 0
        self._notes: list[str] = []

    def counted(self, ready: Iterator[View]) -> Iterator[Row]:
        accountant = Accountant()
        for view in ready:
            yield from self._seen(accountant.rows(view))
            self._inputs[accountant.status] += view.ends_input

    def rows(self, rows: Iterator[Row]) -> Iterator[Row]:
        """Counts the rows of one video."""
        status = "ok"
        for row in self._seen(rows):
            status = row.status if row.status in ("no_face", "unreadable") else status
            yield row
        self._inputs[status] += 1

    def _seen(self, rows: Any) -> Iterator[Row]:
        for row in rows:
            self._faces += row.status == "ok"
            if row.status in ("unreadable", "note") and len(self._notes) < _MOST_NOTES:
                self._notes.append(f"{row.status}: {row.path}: {row.error}")
            yield row

    def summary(self) -> dict[str, Any]:
        inputs = {status: self._inputs[status] for status in ("ok", "no_face", "unreadable")}
        return {**inputs, "faces": self._faces, "notes": "\n".join(self._notes)}
