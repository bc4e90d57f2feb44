"""Messages and exit codes of a cluster process that ends, by itself or by its runtime."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fer_jax.machine.member import LOST
from tests.documents import ROOT

PARENT = "import sys; from fer_jax.machine import member; sys.exit(member.run_member('child', []))"
FATAL = (
    "F1127 22:15:31.373188 3871 client.h:80] Terminating process\n*** Check failure stack trace\n"
)
LEVEL = "TF_CPP_MIN_LOG_LEVEL"
OWN = "error: what the command found\n"


def ended(folder: Path, child: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The parent of a process that runs this text."""
    (folder / "child.py").write_text(f"import os, sys\n{child}\n")
    return subprocess.run(
        [sys.executable, "-c", PARENT],
        cwd=folder,
        env={"PYTHONPATH": f"{ROOT}:{folder}", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("said", "end", "shown"),
    [
        (FATAL, "os.abort()", f"error: {LOST}\n"),
        (FATAL + OWN, "os.abort()", OWN),
        (OWN + FATAL, "os.abort()", OWN),
        (FATAL + OWN, "os._exit(2)", OWN),
        (OWN + FATAL, "os._exit(2)", OWN),
        (OWN, "os._exit(2)", OWN),
    ],
)
def test_a_lost_process_is_reported_in_one_line_whatever_ends_the_others(
    tmp_path: Path, said: str, end: str, shown: str
) -> None:
    told = ended(tmp_path, f"sys.stderr.write({said!r}); sys.stderr.flush(); {end}")
    assert (told.returncode, told.stderr) == (2, shown)


@pytest.mark.parametrize(
    ("said", "end", "code"),
    [
        ("a warning\n", "os._exit(0)", 0),
        ("Traceback\nNameError\n", "os._exit(1)", 1),
        (FATAL, "os._exit(1)", 1),
        ("", "os.abort()", 128 + signal.SIGABRT),
    ],
)
def test_everything_else_is_passed_on_unchanged(
    tmp_path: Path, said: str, end: str, code: int
) -> None:
    told = ended(tmp_path, f"sys.stderr.write({said!r}); sys.stderr.flush(); {end}")
    assert (told.returncode, told.stderr) == (code, said)


@pytest.mark.parametrize(
    ("environment", "used"),
    [({}, "3"), ({LEVEL: "1"}, "3"), ({LEVEL: "0"}, "0")],
    ids=["unset", "as JAX sets it", "everything"],
)
def test_the_runtimes_log_is_quiet_unless_requested(
    tmp_path: Path, environment: dict[str, str], used: str
) -> None:
    told = ended(tmp_path, f"print(os.environ[{LEVEL!r}])", **environment)
    assert told.stdout == f"{used}\n"
