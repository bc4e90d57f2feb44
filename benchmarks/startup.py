"""From command to first result, compared with the package `fer`: seconds and memory of whole processes.

Each side starts a process, scores one photograph and ends; the sides alternate. Ours runs with its
compiled programs cached, as from the second run on, and once without. An import and `--version` are
timed, too. For every process started, the system counts at least this script's memory, that of "python".
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
from turns import alternating, has_module

from fer_jax import command
from fer_jax.errors import FerError

_PHOTO = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
_FER = "import sys, cv2; from fer.fer import FER; print(FER().detect_emotions(cv2.imread(sys.argv[1])))"
_OURS, _THEIRS = "score a photograph, fer_jax", "score a photograph, fer"


class Run(NamedTuple):
    """A process's wall-clock seconds and peak memory in MiB."""

    seconds: float
    mebibytes: float


def main(argv: Sequence[str]) -> int:
    """Runs the command with the arguments `argv` and returns its exit code."""
    options = _parser().parse_args(argv)
    lines = _lines(options)
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "FER_CACHE_DIR": cache}
        cold = run(lines[_OURS], environment)
        runs: dict[str, list[Run]] = {name: [] for name in lines}
        for name in alternating(lines, options.rounds):
            runs[name].append(run(lines[name], environment))
    report = summary(runs, cold)
    _print(report)
    if options.json:
        Path(options.json).write_text(json.dumps(report, indent=2) + "\n")
    return 0


def run(line: Sequence[str], environment: Mapping[str, str]) -> Run:
    """Runs a command until it ends.

    Raises:
        FerError: it failed.
    """
    start_s = time.monotonic()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            line, env=environment, stdout=subprocess.DEVNULL, stderr=said, start_new_session=True
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - start_s
        if process.returncode:
            said.seek(0)
            last = (said.read().decode(errors="replace").strip() or "nothing").splitlines()[-1]
            raise FerError(f"{line[0]}: exit code {process.returncode}: {last}")
    return Run(seconds, usage.ru_maxrss / 1024)


def summary(runs: Mapping[str, Sequence[Run]], cold: Run) -> dict[str, Any]:
    """Returns medians by command, the first run's seconds, and the ratio of ours to `fer` by round."""
    rows = {
        name: {
            "seconds": statistics.median(one.seconds for one in each),
            "mebibytes": statistics.median(one.mebibytes for one in each),
        }
        for name, each in runs.items()
    }
    report: dict[str, Any] = {"rows": rows, "first_run_seconds": cold.seconds, "ratios": {}}
    if _THEIRS in runs:
        pairs = zip(runs[_OURS], runs[_THEIRS], strict=True)
        report["ratios"]["seconds, fer / fer_jax"] = [b.seconds / a.seconds for a, b in pairs]
    return report


def _lines(options: argparse.Namespace) -> dict[str, list[str]]:
    ours = [sys.executable, "-m", "fer_jax"]
    lines = {
        "python": [sys.executable, "-c", "pass"],
        "import fer_jax": [sys.executable, "-c", "import fer_jax"],
        "fer-jax --version": [*ours, "--version"],
        _OURS: [*ours, "score", str(_PHOTO), "--out", "-"],
    }
    if has_module(options.fer_python, "fer"):
        lines[_THEIRS] = [options.fer_python, "-c", _FER, str(_PHOTO)]
    return lines


def _print(report: Mapping[str, Any]) -> None:
    width = max(map(len, report["rows"]))
    print(f"{'':{width}}  seconds    MiB")
    for name, row in report["rows"].items():
        print(f"{name:{width}}  {row['seconds']:7.2f}  {row['mebibytes']:5,.0f}")
    print(f"the first run, with nothing compiled: {report['first_run_seconds']:.2f} s")
    for name, ratios in report["ratios"].items():
        print(f"{name}: {statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})")


def _parser() -> command.Parser:
    parser = command.Parser(prog="startup.py", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="runs of each command; %(default)s")
    parser.add_argument(
        "--fer-python",
        default=".venv-fer/bin/python",
        help="Python of the environment with benchmarks/fer-requirements.txt",
    )
    parser.add_argument("--json", help="file to write the figures to")
    return parser


if __name__ == "__main__":
    sys.exit(command.run(main))
