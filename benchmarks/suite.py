"""Runs every benchmark that this machine allows, stores the figures: `make bench`, `make bench-check`.

Each part is a benchmark in this folder; parts run one at a time, as separate commands. A part with
missing requirements (a package to compare with, photographs, a video) is left out with its reason. The
report goes to bench/report.json; docs/benchmarks.md shows it. `--check` compares ratios, which vary less
between machines than times do, with that report and warns where one is much worse.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from suite_parts import HERE, PARTS, Options, Part

from fer_jax import command
from fer_jax.errors import FerError
from fer_jax.machine.files import write_json
from fer_jax.machine.processor import cpu_name, usable_cores

REPORT = HERE.parent / "bench" / "report.json"
_PACKAGES = ("fer_jax", "jax", "jaxlib", "flax", "onnxruntime", "opencv-python-headless", "numpy")
_WORSE = 1.3  # warns of a ratio this many times smaller than the committed one


def main(argv: Sequence[str]) -> int:
    """Runs the command with the arguments `argv`; with --check, warnings leave the exit code at 0."""
    options = _parser().parse_args(argv)
    committed = _committed(Path(options.out)) if options.check else None
    parts = {name: PARTS[name] for name in options.only or PARTS}
    report: dict[str, Any] = {"parts": {}}
    for name, part in parts.items():
        print(f"\n== {name}: {part.script}", flush=True)
        report["parts"][name] = {**measured(part, options), "machine": machine()}
    if committed is not None:
        for line in worse(report, committed):
            print(f"warning: {line}", file=sys.stderr)
        return 0
    Path(options.out).parent.mkdir(parents=True, exist_ok=True)
    write_json(Path(options.out), merged(Path(options.out), report))
    print(
        f"\nwrote {options.out}; python benchmarks/write_tables.py shows it in docs/benchmarks.md"
    )
    return 0


def measured(part: Part, options: Options) -> dict[str, Any]:
    """Runs one part and returns its ratios and figures, or under "left_out" why there are none."""
    if reason := part.needs(options):
        print(f"left out: {reason}", flush=True)
        return {"left_out": reason}
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        line = [sys.executable, str(HERE / part.script), *part.flags(options)]
        done = subprocess.run([*line, "--json", str(report)], check=False)
        if done.returncode:
            return {"left_out": f"{Path(part.script).name} ended with exit code {done.returncode}"}
        raw = json.loads(report.read_text())
    ratios = {
        name: {"median": statistics.median(each), "rounds": each}
        for name, each in part.ratios(raw).items()
    }
    return {"ratios": ratios, "figures": part.figures(raw)}


def machine() -> dict[str, Any]:
    """Describes the machine and software."""
    return {
        "date": datetime.date.today().isoformat(),
        "processor": cpu_name(),
        "cores": usable_cores(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": platform.system(),
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
        "load": round(os.getloadavg()[0], 1),
    }


def merged(path: Path, report: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the report, completed with parts of the one at `path` that were not run this time."""
    before = json.loads(path.read_text())["parts"] if path.exists() else {}
    ran = {name: part for name, part in report["parts"].items() if "left_out" not in part}
    return {"parts": {**report["parts"], **before, **ran}}


def worse(report: Mapping[str, Any], committed: Mapping[str, Any]) -> Iterator[str]:
    """Yields a line for every ratio that is much smaller than the committed one."""
    for name, part in report["parts"].items():
        if "exit code" in part.get("left_out", ""):
            yield f"{name}: {part['left_out']}"
        before = committed["parts"].get(name, {}).get("ratios", {})
        for comparison, ratio in part.get("ratios", {}).items():
            was = before.get(comparison, {}).get("median")
            if was is not None and ratio["median"] * _WORSE < was:
                yield f"{name}: {comparison} is {ratio['median']:.2f}, was {was:.2f}"


def _committed(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise FerError(f"{path}: cannot be compared with ({error}); run make bench") from error


def _parser() -> command.Parser:
    parser = command.Parser(prog="suite.py", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, help="parts to run; default: all")
    parser.add_argument("--out", default=str(REPORT), help="the report; default: bench/report.json")
    parser.add_argument(
        "--check", action="store_true", help="compare with the report; write nothing"
    )
    parser.add_argument("--dir", help="folder of photographs for scoring")
    parser.add_argument("--video", help="a video file for the live server")
    parser.add_argument("--install", action="store_true", help="also measure installations")
    for name in ("keras", "fer", "torch"):
        parser.add_argument(
            f"--{name}-python",
            default=f".venv-{name}/bin/python",
            help=f"Python of the environment with benchmarks/{name}-requirements.txt",
        )
    return parser


if __name__ == "__main__":
    sys.exit(command.run(main))
