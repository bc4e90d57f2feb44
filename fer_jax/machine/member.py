"""Runs a process of a cluster as a child, because JAX ends it when another one is lost.

It does so by abort(), below Python, with a page of text. The parent shows one line instead.
"""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import IO, NamedTuple

from fer_jax.errors import EXIT_USAGE

_VARIABLE = "FER_JAX_MEMBER"
_FORWARDED = signal.SIGTERM, signal.SIGINT
_FATAL = re.compile(rb"F\d{4} ")  # as the runtime's log begins what it dies of
_OWN = re.compile(rb"^error: .*\n", re.MULTILINE)  # how a command reports the error it ends with
_LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
LOST = (
    "another process of this run has ended or cannot be reached; saved checkpoints are intact: "
    "start the same command again on every host, or on fewer, to resume from the last checkpoint"
)


class Membership(NamedTuple):
    """A process's place in its cluster.

    Attributes:
        coordinator: HOST:PORT at which process 0 answers the others.
        processes: how many there are.
        process_id: of this one, from 0.
    """

    coordinator: str
    processes: int
    process_id: int


def announced(environment: Mapping[str, str]) -> bool:
    """Whether the environment may be one in which JAX finds a cluster by itself."""
    # A Slurm shell is a step of one task, regardless of the job's size.
    in_slurm = "SLURM_STEP_NODELIST" in environment
    if in_slurm and environment.get("SLURM_STEP_NUM_TASKS", "1") != "1":
        return True
    return importlib.util.find_spec("libtpu") is not None or any(
        name in environment
        for name in (
            "JAX_COORDINATOR_ADDRESS",
            "OMPI_MCA_orte_hnp_uri",
            "JOB_COMPLETION_INDEX",  # an indexed job of Kubernetes
            "TPU_WORKER_HOSTNAMES",
            "TPU_PROCESS_ADDRESSES",
        )
    )


def is_member(environment: Mapping[str, str]) -> bool:
    """Whether this process was started by `run_member`."""
    return _VARIABLE in environment


def run_member(module: str, arguments: Sequence[str]) -> int:
    """Runs `python -m MODULE ARGUMENTS` as a child and returns its exit code.

    Signals are passed on to it; it ends when this process does. If another process of the cluster is
    lost, one line gives the reason and the code is 2.
    """
    environment = {**os.environ, _VARIABLE: "1"}
    if environment.get(_LOG_LEVEL, "1") == "1":  # what JAX sets in a process that imports it
        environment[_LOG_LEVEL] = "3"
    child = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        env=environment,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C reaches it once, from here
    )

    def forward(number: int, frame: FrameType | None) -> None:
        del frame
        child.send_signal(number)

    before = {number: signal.signal(number, forward) for number in _FORWARDED}
    try:
        assert child.stderr is not None
        explained, fatal = _pass_on(child.stderr)
        code = child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    # The runtime calls abort() while the command may be saying the same; whichever comes first ends it.
    if fatal and code in (-signal.SIGABRT, EXIT_USAGE):
        own = _OWN.search(fatal)
        if not explained:
            _show(own[0] if own else f"error: {LOST}\n".encode())
        return EXIT_USAGE
    _show(fatal)
    return code if code >= 0 else 128 - code


def end_with_parent() -> None:
    """Ends this child as soon as its parent has gone."""

    def wait() -> None:
        while os.read(0, 1024):
            pass
        os._exit(1)

    threading.Thread(target=wait, name="parent", daemon=True).start()


def _pass_on(stream: IO[bytes]) -> tuple[bool, bytes]:
    """Copies lines to standard error up to the runtime's last words.

    Returns:
        Whether one of the command's own lines gave the reason for its end, and the output from the
        runtime's last words on, which is not copied.
    """
    explained = False
    for line in stream:
        if _FATAL.match(line):
            return explained, line + stream.read()
        explained = explained or _OWN.match(line) is not None
        _show(line)
    return explained, b""


def _show(text: bytes) -> None:
    sys.stderr.buffer.write(text)
    sys.stderr.buffer.flush()
