"""Runs every benchmark that this machine allows and keeps the figures: `make bench`, `make bench-check`.

Each part is a benchmark of this folder, run as its own command and one at a time. A part whose needs are
missing (a package to compare with, photographs, a package index) is left out with its reason. The report
goes to bench/report.json; docs/benchmarks.md shows it. `--check` compares ratios with that report, which
hold from machine to machine better than times do, and warns where one is much worse.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fer_jax import command
from fer_jax.errors import FerError
from fer_jax.machine.files import write_json
from fer_jax.machine.processor import cpu_name, usable_cores

_HERE = Path(__file__).resolve().parent
REPORT = _HERE.parent / "bench" / "report.json"
_PACKAGES = ("fer_jax", "jax", "jaxlib", "flax", "onnxruntime", "opencv-python-headless", "numpy")
_WORSE = 1.3  # a ratio this many times smaller than the committed one is worth a warning

Options = argparse.Namespace


class Part(NamedTuple):
    """One benchmark.

    Attributes:
        script: its file in this folder.
        flags: for it, from the suite's options.
        needs: why it cannot run, or None.
        ratios: from its report, comparison -> ratio by round; larger is better for fer_jax.
        figures: from its report, what is measured -> its value with unit.
    """

    script: str
    flags: Callable[[Options], list[str]]
    needs: Callable[[Options], str | None]
    ratios: Callable[[Any], dict[str, list[float]]]
    figures: Callable[[Any], dict[str, str]]


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
        line = [sys.executable, str(_HERE / part.script), *part.flags(options)]
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
    """Returns what the figures were measured on."""
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
    """Returns the report, with the parts of the one at `path` that were not run this time."""
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


# ---- the parts


def _has(*pythons: str) -> Callable[[Options], str | None]:
    """Needs another environment's Python, by the option that names it."""

    def needs(options: Options) -> str | None:
        missing = [path for name in pythons if not Path(path := getattr(options, name)).exists()]
        return f"{missing[0]} does not exist; make bench installs it" if missing else None

    return needs


def _scoring_needs(options: Options) -> str | None:
    return _has("fer_python")(options) or (None if options.dir else "name photographs with DIR=")


def _training_figures(report: Any) -> dict[str, str]:
    return {
        name: f"{row['images_per_second']:.0f} images/s" for name, row in report["rows"].items()
    }


def _training_ratios(report: Any) -> dict[str, list[float]]:
    return {
        f"{name} / Keras": row["times_keras_by_round"]
        for name, row in report["rows"].items()
        if "times_keras_by_round" in row and "fer_jax" in name
    }


def _network_figures(report: Any) -> dict[str, str]:
    return {
        f"{row['network']}, {row['cores']} core(s)": f"{row['milliseconds_one_face']:.2f} ms a face, "
        f"{row['faces_per_second']:,.0f} faces/s in batches"
        for row in report["rows"]
    }


def _network_ratios(report: Any) -> dict[str, list[float]]:
    by = {(row["network"], row["cores"]): row["faces_per_second"] for row in report["rows"]}
    ours = next(name for name, _ in by if name.startswith("fer_jax"))
    return {
        f"faces/s, {ours} / {name}, {cores} core(s)": [by[ours, cores] / rate]
        for (name, cores), rate in by.items()
        if name != ours
    }


def _scoring_figures(report: Any) -> dict[str, str]:
    return {
        name: f"{row['images_per_second']:.1f} images/s" for name, row in report["rows"].items()
    }


def _startup_figures(report: Any) -> dict[str, str]:
    first = {"the first photograph, nothing compiled": f"{report['first_run_seconds']:.1f} s"}
    return first | {
        name: f"{row['seconds']:.2f} s, {row['mebibytes']:,.0f} MiB at most"
        for name, row in report["rows"].items()
    }


def _install_figures(report: Any) -> dict[str, str]:
    ours, *_ = report  # by the place of the checkout
    return {
        (
            "fer_jax" if name == ours else name
        ): f"{row['megabytes']:,.0f} MB in {row['packages']} packages, {row['seconds']:.0f} s"
        for name, row in report.items()
    }


def _install_ratios(report: Any) -> dict[str, list[float]]:
    ours, *others = report
    return {
        f"megabytes, {name} / fer_jax": [report[name]["megabytes"] / report[ours]["megabytes"]]
        for name in others
    }


PARTS: Mapping[str, Part] = {
    "training": Part(
        "train_throughput.py",
        lambda options: ["--keras-python", options.keras_python],
        _has("keras_python"),
        _training_ratios,
        _training_figures,
    ),
    "network": Part(
        "model_speed.py",
        lambda options: [
            *("--fer-python", options.fer_python, "--torch-python", options.torch_python)
        ],
        _has("fer_python"),
        _network_ratios,
        _network_figures,
    ),
    "scoring": Part(
        "score_throughput.py",
        lambda options: ["--fer-python", options.fer_python, "--dir", options.dir],
        _scoring_needs,
        lambda report: report["ratios"],
        _scoring_figures,
    ),
    "start-up": Part(
        "startup.py",
        lambda options: ["--fer-python", options.fer_python],
        lambda options: None,
        lambda report: report["ratios"],
        _startup_figures,
    ),
    "installation": Part(
        "install_size.py",
        lambda options: [str(_HERE.parent), "fer==25.10.3", "deepface==0.0.103", "py-feat==2.1.5"],
        lambda options: None if options.install else "needs a package index; add --install",
        _install_ratios,
        _install_figures,
    ),
}


def _parser() -> command.Parser:
    parser = command.Parser(prog="suite.py", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, help="parts to run; default: all")
    parser.add_argument("--out", default=str(REPORT), help="the report; default: bench/report.json")
    parser.add_argument(
        "--check", action="store_true", help="compare with the report, write nothing"
    )
    parser.add_argument("--dir", help="folder of photographs for scoring")
    parser.add_argument("--install", action="store_true", help="measure installations as well")
    for name in ("keras", "fer", "torch"):
        parser.add_argument(
            f"--{name}-python",
            default=f".venv-{name}/bin/python",
            help=f"Python of the environment with benchmarks/{name}-requirements.txt",
        )
    return parser


if __name__ == "__main__":
    sys.exit(command.run(main))
