"""Several processes that train as one: how they find each other, agree, and end. JAX does the work.

Process 0 writes and prints; all compute. A run on one host is a cluster of one process.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import jax
import numpy as np
from jax.experimental import multihost_utils

from fer_jax.errors import ClusterError
from fer_jax.machine.member import LOST, Membership
from fer_jax.machine.terminal import printable

HEARTBEAT_SECONDS = 40  # after this much silence a process counts as lost
FOLDER_SECONDS = 10.0  # network file systems show a new file after some seconds


@contextlib.contextmanager
def joined(place: Membership | None, *, search: bool) -> Iterator[None]:
    """Joins the cluster for the time of the block; call it before the process uses JAX.

    Args:
        place: of this process; None where the environment knows it, or there is none.
        search: whether to search for a cluster in the environment.

    Raises:
        ClusterError: it could not be joined, or another process was lost.
    """
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.config.update("jax_enable_preemption_service", False)  # it would take SIGTERM from us
    try:
        if place is not None:
            jax.distributed.initialize(
                *place,
                cluster_detection_method="deactivate",
                heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
            )
        elif search:
            _join_announced()
    except RuntimeError as error:
        name = place.coordinator if place else "the cluster that the environment names"
        raise ClusterError(
            f"{name}: cannot be joined ({_first_line(error)}); start every process, with the same "
            "--coordinator and --processes and its own --process-id"
        ) from error
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if jax.process_count() == 1 or "RESOURCE_EXHAUSTED" in str(error):
            raise
        raise ClusterError(f"{LOST} ({_first_line(error)})") from error
    jax.distributed.shutdown()


def ends_at_once(run: Callable[[], int]) -> int:
    """Returns the exit code of `run`; where it is an error, ends the process with it on the spot.

    An ordinary exit waits for the other processes, and those wait for this one's share of a step.
    """
    try:
        code = run()
    except BaseException:  # noqa: BLE001 - shown as Python would
        traceback.print_exc()
        code = 1
    if 0 < code < 128:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def is_first() -> bool:
    """Whether this process is the one that writes and prints."""
    return jax.process_index() == 0


def check_alike(description: str, *, what: str) -> None:
    """Checks that all processes hold the same text.

    Raises:
        ClusterError: another process holds another one.
    """
    if jax.process_count() == 1:
        return
    digest = int.from_bytes(hashlib.sha256(description.encode()).digest()[:4], "little") >> 1
    each = _gathered(digest)
    differing = np.flatnonzero(each != each[0])
    if len(differing):
        raise ClusterError(
            f"process {differing[0]} has different {what} from process 0; give all the same command "
            "and the same data"
        )


def check_shared(folder: Path) -> None:
    """Checks that all processes see what process 0 writes into `folder`; none continues before it.

    Raises:
        ClusterError: one does not.
    """
    if jax.process_count() == 1:
        return
    token = int(multihost_utils.broadcast_one_to_all(np.int32(secrets.randbits(31))))
    mark = folder / f".{token}.shared"
    if is_first():
        mark.touch()
    multihost_utils.sync_global_devices("marked")
    seen = _gathered(_appears(mark))
    if is_first():
        mark.unlink()
    blind = np.flatnonzero(seen == 0)
    if len(blind):
        raise ClusterError(
            f"{printable(folder)}: process {blind[0]} does not see what process 0 writes there; "
            "name an --out that all hosts share"
        )


def _gathered(value: int) -> np.ndarray:
    """Each process's value, int32 [processes]."""
    return np.ravel(multihost_utils.process_allgather(np.int32(value)))


def _appears(path: Path) -> bool:
    end = time.monotonic() + FOLDER_SECONDS
    while not path.exists():
        if time.monotonic() > end:
            return False
        time.sleep(0.2)
    return True


def _join_announced() -> None:
    """Joins the cluster that the environment names, if JAX knows it.

    Raises:
        ClusterError: a package is missing that JAX finds the cluster with.
        RuntimeError: it cannot be joined, or the environment describes it incompletely.
    """
    try:
        with warnings.catch_warnings():
            # Of several lines; _check_alone reports it in one.
            warnings.filterwarnings("ignore", "Kubernetes environment detected")
            jax.distributed.initialize(heartbeat_timeout_seconds=HEARTBEAT_SECONDS)
    except ImportError as error:
        package = (error.name or str(error)).partition(".")[0]
        raise _lacking(package, finds="the other processes of this run") from error
    except ValueError as error:
        if "coordinator_address" not in str(error):
            raise RuntimeError(_first_line(error)) from error
        _check_alone(os.environ)  # JAX knows of no cluster here
    except RuntimeError:
        raise
    except Exception as error:  # Kubernetes' client and requests have their own exception classes
        raise RuntimeError(f"{type(error).__name__}: {_first_line(error)}") from error


def _check_alone(environment: Mapping[str, str]) -> None:
    """Checks that a process which JAX calls alone is not a pod of an indexed Kubernetes job.

    Raises:
        ClusterError: it is one, and JAX did not find the package with which it looks up the others.
            Every pod would train alone, in the same folder.
    """
    if "KUBERNETES_SERVICE_HOST" in environment and "JOB_COMPLETION_INDEX" in environment:
        raise _lacking("kubernetes", finds="the other pods of this Kubernetes job")


def _lacking(package: str, *, finds: str) -> ClusterError:
    return ClusterError(
        f"JAX finds {finds} only with the Python package {package}: pip install {package} on every "
        "host, or start every process with --coordinator HOST:PORT --processes N --process-id I"
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
