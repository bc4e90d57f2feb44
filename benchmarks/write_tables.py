"""Writes the figures of README and docs from the shipped cards and from the reports of benchmarks.

    python benchmarks/write_tables.py [--check]

A table stands between `<!-- table: NAME -->` and `<!-- end -->`, a figure within a sentence between
`<!-- figure: NAME -->` and `<!-- end -->`. Reports lie in benchmarks/reports, as the benchmarks' --json
writes them, and in bench/; figures of the shipped network come from its card alone. The shipped
MODEL_CARD.md files are rewritten as well.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from comparison_table import Measured, comparison
from markdown_tables import percent, table

from fer_jax import command
from fer_jax.errors import FerError
from fer_jax.exporting.model_card import model_card
from fer_jax.pretrained import DEFAULT, PRETRAINED, shipped_names

_ROOT = Path(__file__).resolve().parents[1]
_REPORTS = Path(__file__).with_name("reports")
_SUITE = _ROOT / "bench" / "report.json"
_REGION = re.compile(r"(<!-- (table|figure): (\w+) -->\n?).*?(?=<!-- end -->)", re.DOTALL)


def main(argv: Sequence[str]) -> int:
    """Runs the command with the arguments `argv`; 1 if --check finds a file that is out of date."""
    parser = command.Parser(
        prog="write_tables.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--check", action="store_true", help="write nothing, name stale files")
    options = parser.parse_args(argv)
    stale = {path: text for path, text in _wanted() if text != path.read_text()}
    for path, text in stale.items():
        if options.check:
            print(f"{path}: out of date; run python benchmarks/write_tables.py", file=sys.stderr)
        else:
            path.write_text(text)
    return 1 if options.check and stale else 0


def _wanted() -> Iterable[tuple[Path, str]]:
    """Gives the files that hold figures, with the text that they should have."""
    for path in sorted([*_ROOT.glob("*.md"), *_ROOT.glob("docs/*.md")]):
        yield path, with_tables(path.read_text(), name=str(path))
    for shipped in shipped_names():
        yield PRETRAINED / shipped / "MODEL_CARD.md", model_card(_card(shipped))


def with_tables(text: str, *, name: str) -> str:
    """Returns a page's text with current tables and figures; `name` is what an error calls the page."""

    def current(match: re.Match[str]) -> str:
        start, kind, wanted = match.groups()
        known = _TABLES if kind == "table" else _FIGURES
        if wanted not in known:
            raise FerError(f"{name}: no {kind} {wanted!r}; there are {', '.join(known)}")
        return start + known[wanted]()

    return _REGION.sub(current, text)


def _card(name: str = DEFAULT) -> dict[str, Any]:
    return json.loads((PRETRAINED / name / "card.json").read_text())


def _report(name: str) -> Any:
    return json.loads((_REPORTS / f"{name}.json").read_text())


def _shipped() -> dict[str, Any]:
    """The figures of the shipped network, named as in reports/trainings.json."""
    card = _card()
    report = card["report"]
    return {
        "accuracy": report["accuracy"],
        "accuracy_interval": report["accuracy_interval"],
        "flip_accuracy": report["flip"]["accuracy"],
        "flip_interval": report["flip"]["accuracy_interval"],
        "uar": report["uar"],
        "ece": card["calibrated"]["ece"],
        "digest": card["digest"],
        "share": card["config"]["loss"]["logit_adjustment"],
        **{name: report["per_class"][name]["recall"] for name in ("disgust", "fear")},
    }


def _comparison() -> str:
    speeds = [row for row in _report("model_speed")["rows"] if row["cores"] == 1]

    def face_ms(package: str, kind: str = "") -> float:
        (row,) = (
            each
            for each in speeds
            if each["network"].startswith(package) and kind in each["network"]
        )
        return row["milliseconds_one_face"]

    measured = Measured(
        agreement={"fer_jax": _shipped(), "fer": _report("fer_accuracy")},
        face_ms={"fer_jax": face_ms("fer_jax"), "fer": face_ms("`fer`", "TFLite")},
        sizes=_report("install_size"),
        files=_report("unreadable_files"),
    )
    return comparison(measured)


def _trainings() -> str:
    head = ["run", "command", "CPU minutes", "crowd, single crop", "crowd, flip-averaged"]
    rows = []
    for run in _report("trainings"):
        ours = _shipped()
        ships = ours["digest"].startswith(run["digest"])
        figures = {**run, **ours} if ships else run
        cells = [
            percent(figures["accuracy"], figures["accuracy_interval"]),
            percent(figures["flip_accuracy"]),
            percent(figures["uar"]),
            percent(figures["label_accuracy"]) if "label_accuracy" in figures else "",
        ]
        name = f"**{run['run']}**" if ships else run["run"]
        digest = f"`{figures['digest'][:12]}`"
        rows.append([name, run["command"], f"{run['cpu_minutes']}", *cells, digest])
    return table([*head, "crowd, UAR", "label", "digest"], rows, left=(0, 1, 7))


def _logit_adjustment() -> str:
    runs = sorted([*_report("logit_adjustment"), _shipped()], key=lambda run: run["share"])
    lines = (
        ("crowd, single crop", "accuracy", 1),
        ("UAR", "uar", 1),
        ("recall of disgust", "disgust", 0),
        ("recall of fear", "fear", 0),
    )
    return table(
        ["share", *(f"{run['share']:g}" for run in runs)],
        [[text, *(percent(run[key], digits=n) for run in runs)] for text, key, n in lines],
    )


def _model_speed() -> str:
    report = _report("model_speed")
    networks = dict.fromkeys(row["network"] for row in report["rows"])
    rows = []
    for network in networks:
        one, two = sorted(
            (row for row in report["rows"] if row["network"] == network),
            key=lambda row: row["cores"],
        )
        latencies = [f"{row['milliseconds_one_face']:.1f} ms" for row in (one, two)]
        rates = [f"{row['faces_per_second']:,.0f}" for row in (one, two)]
        rows.append([network, f"{one['parameters']:,}", *latencies, *rates])
    batches = f"faces a second in batches of {report['batch_size']}, one core"
    head = ["network", "parameters", "one face, one core", "two cores", batches, "two cores"]
    return table(head, rows)


def _suite() -> str:
    """Every ratio and figure of bench/report.json, by part."""
    report = json.loads(_SUITE.read_text())
    rows = []
    for name, part in report["parts"].items():
        for compared, ratio in part.get("ratios", {}).items():
            low, high = min(ratio["rounds"]), max(ratio["rounds"])
            spread = f" ({low:.2f} to {high:.2f})" if low < high else ""
            rows.append([name, compared, f"**{ratio['median']:.2f}**{spread}"])
        rows += [[name, what, figure] for what, figure in part.get("figures", {}).items()]
        if "left_out" in part:
            rows.append([name, "not measured", part["left_out"]])
    return table(["part", "what", "figure"], rows, left=(0, 1))


def _startup_ratio() -> float:
    (ratio,) = json.loads(_SUITE.read_text())["parts"]["start-up"]["ratios"].values()
    return ratio["median"]


def _bench_machine() -> str:
    return "".join(
        f"- {name}: {_machine(part['machine'])}\n"
        for name, part in json.loads(_SUITE.read_text())["parts"].items()
    )


def _machine(about: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in about["packages"].items())
    return (
        f"{about['date']}, {about['processor']}, {about['cores']} cores, {about['memory_gib']} GiB, "
        f"load {about['load']}, {about['system']}, Python {about['python']}, {versions}"
    )


_TABLES: dict[str, Callable[[], str]] = {
    "comparison": _comparison,
    "trainings": _trainings,
    "logit_adjustment": _logit_adjustment,
    "model_speed": _model_speed,
    "suite": _suite,
    "suite_machine": _bench_machine,
}

_FIGURES: dict[str, Callable[[], str]] = {
    "accuracy": lambda: percent(_shipped()["accuracy"]),
    "flip": lambda: percent(_shipped()["flip_accuracy"], _shipped()["flip_interval"]),
    "calibration": lambda: percent(_shipped()["ece"]),
    "degraded": lambda: percent(_report("degraded")["accuracy"]),
    "confident": lambda: percent(_card()["calibrated"]["confident"]["accuracy"]),
    "disgust": lambda: percent(_shipped()["disgust"], digits=0),
    "fear": lambda: percent(_shipped()["fear"], digits=0),
    "startup": lambda: f"{_startup_ratio():.1f}",
    "labels": lambda: percent(_card("fer2013")["report"]["accuracy"]),
}


if __name__ == "__main__":
    sys.exit(command.run(main))
