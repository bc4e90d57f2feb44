"""A run on a Ray cluster: units out, parts in, until every unit has its part."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import logging
import os
import secrets
import signal
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from fer_jax.cluster import storage
from fer_jax.cluster.kept import kept_inputs
from fer_jax.cluster.parts import Parts
from fer_jax.cluster.units import SHORTEST_BYTES, Unit, units
from fer_jax.cluster.worker import Job, ScoringWorker, stitch
from fer_jax.errors import FerError
from fer_jax.machine.processor import usable_cores
from fer_jax.machine.terminal import printable
from fer_jax.scoring.progress import ScoringProgress
from fer_jax.scoring.run import Outcome

_STORE_BYTES = 200 << 20  # of shared memory; units and what was found in them are small

# Read by Ray when it is imported, and by all its processes.
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # no report to its makers
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # the rest is in the session's log files
    "RAY_DISABLE_FAILURE_SIGNAL_HANDLER": "1",
}


def require_ray() -> None:
    """Checks that Ray is installed.

    Raises:
        FerError: it is not.
    """
    if importlib.util.find_spec("ray") is None:
        raise FerError('--engine ray needs Ray; pip install "fer_jax[ray]" installs it')


@contextlib.contextmanager
def cluster(address: str | None) -> Iterator[None]:
    """Joins the cluster at `address`, or starts one on this machine that nobody else can use.

    Raises:
        FerError: there is no cluster at the address.
    """
    os.environ.update({name: os.environ.get(name, value) for name, value in _QUIET.items()})
    with contextlib.ExitStack() as stack:
        if address is None:
            # Ray's processes may still write to it when it goes.
            folder = stack.enter_context(
                tempfile.TemporaryDirectory(prefix="fer_jax-", ignore_cleanup_errors=True)
            )
            # Without "clusters", in Ray's words, it listens on the loopback address only.
            os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
            os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))
            options: dict[str, Any] = {"num_cpus": usable_cores(), "_temp_dir": folder}
            options["object_store_memory"] = _STORE_BYTES
        else:
            options = {}
        import ray

        handler = signal.getsignal(signal.SIGTERM)
        stack.callback(ray.shutdown)
        try:
            ray.init(
                address or "local",
                include_dashboard=None if address else False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                **options,
            )
        except Exception as error:  # Ray raises this very class
            reason = " ".join(str(error).split())[:200]
            what = f"--address {address}: no cluster answers" if address else "Ray cannot start"
            raise FerError(f"{what} ({reason})") from error
        signal.signal(signal.SIGTERM, handler)  # Ray has its own
        yield


def run_on_cluster(
    names: Iterable[str],
    job: Job,
    reporter: ScoringProgress,
    *,
    workers: int | None = None,
    shortest_bytes: int = SHORTEST_BYTES,
) -> Outcome:
    """Scores inputs on the `cluster` that the process has joined.

    What an earlier run with this output has finished is left out.

    Args:
        names: of files that every node can read, or URIs.
        job: what to do; `threads` is overruled where workers have GPUs.
        reporter: sees progress and unreadable inputs.
        workers: how many there are; None for one on each GPU or, without any, on each core.
        shortest_bytes: as for `units`.

    Raises:
        FerError: an output that cannot be written or continued, or a cluster that fails.
    """
    import ray

    parts = Parts(job.out)
    parts.prepare()
    before = parts.numbers() if parts.take_over(job.run, options(job)) else []
    kept = kept_inputs(parts, before)
    with contextlib.closing(kept.finished) as finished:
        cores, gpus = (int(ray.cluster_resources().get(kind, 0)) for kind in ("CPU", "GPU"))
        count = workers or gpus or max(1, cores)
        if gpus:  # the cores of a host decode for its GPUs
            job = dataclasses.replace(job, threads=max(1, cores // gpus))
        if before:
            reporter.say(
                f"{printable(storage.shown(job.out))}: resuming after {len(before):,} parts"
            )
        todo = units(
            (name for name in names if not finished.take(Path(storage.shown(name)))),
            first=before[-1] + 1 if before else 0,
            workers=count,
            byte_count=storage.byte_count,
            shortest_bytes=shortest_bytes,
        )
        return _Run(job, reporter, workers=count, gpu=gpus > 0).finish(
            todo, kept_unreadable=kept.unreadable
        )


def options(job: Job) -> dict[str, str | int | float | None]:
    """What rows depend on: an output is only continued with the same."""
    return {
        "checkpoint": job.digest,
        "detector": job.detector,
        "detect-size": job.detect_size,
        "every": job.every,
        "fps": job.fps,
        "max-pixels": job.max_pixels,
        "first-frame": job.first_frame,
        "rotate": "auto" if job.rotate else "off",
    }


class _Run:
    """Keeps count of what is left to do."""

    def __init__(self, job: Job, reporter: ScoringProgress, *, workers: int, gpu: bool) -> None:
        self._job, self._reporter, self._workers, self._gpu = job, reporter, workers, gpu
        self._left: dict[tuple[int, int], Any] = {}  # a reference to each unit's table
        self._videos: dict[int, list[Any]] = {}  # name, shares, shares that are left
        self._found: Counter[str] = Counter()

    def finish(self, todo: Iterator[Unit], *, kept_unreadable: int) -> Outcome:
        import ray
        import ray.exceptions

        for unit in todo:
            self._left[unit.part, unit.share] = ray.put(unit.table())
            if unit.shares > 1:
                self._videos[unit.part] = [unit.names[0], unit.shares, unit.shares]
        stitching = []
        while self._left:
            before = len(self._left)
            for done in self._round():
                stitching += self._take(done)
            if len(self._left) == before:
                raise FerError(
                    "the cluster's workers die before they finish anything; see its logs"
                )
        try:
            for done in ray.get(stitching):
                self._count(done)
        except ray.exceptions.RayTaskError as error:
            cause = error.cause
            raise (cause if isinstance(cause, FerError) else error) from None
        if self._videos:  # not earlier: a task that is tried again needs them
            Parts(self._job.out).drop_shares(self._job.run)
        found = self._found
        inputs = {status: found[status] for status in ("ok", "no_face", "unreadable")}
        return Outcome(
            inputs=inputs,  # pyright: ignore[reportArgumentType]
            faces=found["faces"],
            scored_now=sum(inputs.values()),
            faces_now=found["faces"],
            kept_unreadable=kept_unreadable,
        )

    def _round(self) -> Iterator[dict[str, Any]]:
        """Yields the results of the remaining units; those whose worker died are missing."""
        import ray.data
        import ray.exceptions

        logging.getLogger("ray.data").setLevel(logging.ERROR)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        # The longest come last from `units`. One that starts last would keep all workers waiting.
        units = ray.data.from_arrow_refs(list(reversed(self._left.values())))
        done = units.map_batches(
            ScoringWorker,
            fn_constructor_args=(self._job,),
            batch_size=1,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(
                min_size=1, max_size=self._workers, initial_size=self._workers
            ),
            num_cpus=self._job.threads,
            num_gpus=1 if self._gpu else None,
        )
        try:
            yield from done.iter_rows()
        except ray.exceptions.ActorDiedError as error:
            reason = str(error).strip().splitlines()[-1]
            raise FerError(f"a worker cannot start ({reason}); see the cluster's logs") from error

    def _take(self, done: dict[str, Any]) -> list[Any]:
        """Counts a unit; returns the task that stitches a video, after its last share."""
        import ray

        if done["failure"]:
            raise FerError(f"{done['failure']}; the same command resumes from the finished parts")
        if self._left.pop((done["part"], done["share"]), None) is None:
            return []
        video = self._videos.get(done["part"])
        if video is None:
            self._count(done)
            return []
        video[2] -= 1
        if video[2]:
            return []
        task = ray.remote(num_cpus=0, max_retries=-1)(stitch)
        return [task.remote(self._job, done["part"], storage.shown(video[0]), video[1])]

    def _count(self, done: dict[str, Any]) -> None:
        for name in ("ok", "no_face", "unreadable", "faces"):
            self._found[name] += done[name]
        for line in done["notes"].splitlines():
            self._reporter.note(line)
        files = sum(self._found[name] for name in ("ok", "no_face", "unreadable"))
        self._reporter.show(files=files, faces=self._found["faces"])
