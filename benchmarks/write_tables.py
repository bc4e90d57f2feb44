"""Writes the figures of README and docs from the shipped cards and the benchmark reports.

    python benchmarks/write_tables.py [--check]

A table is placed between `<!-- table: NAME -->` and `<!-- end -->`, a figure in a sentence between
`<!-- figure: NAME -->` and `<!-- end -->`. The shipped MODEL_CARD.md files are rewritten, too. The
sources of the figures are in report_files.py.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import scale_table
from comparison_table import Measured, comparison
from figures import FIGURES
from markdown_tables import percent, table
from network_table import networks
from report_files import card, keep_evaluation, of_shipped, report, shipped, suite, training_of

from fer_jax import command
from fer_jax.errors import FerError
from fer_jax.exporting.model_card import model_card
from fer_jax.exporting.release import size
from fer_jax.pretrained import DEFAULT, PRETRAINED, shipped_names

_ROOT = Path(__file__).resolve().parents[1]
_REGION = re.compile(r"(<!-- (table|figure): (\w+) -->\n?).*?(?=<!-- end -->)", re.DOTALL)


def main(argv: Sequence[str]) -> int:
    """Runs the command with the arguments `argv`; 1 if --check finds a file that is out of date."""
    parser = command.Parser(
        prog="write_tables.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--check", action="store_true", help="write nothing, name stale files")
    parser.add_argument(
        "--evaluation",
        type=Path,
        help="a folder that fer-jax evaluate wrote, to keep its report first",
    )
    options = parser.parse_args(argv)
    if options.evaluation:
        keep_evaluation(options.evaluation)
    stale = {path: text for path, text in _wanted() if text != path.read_text()}
    for path, text in stale.items():
        if options.check:
            print(f"{path}: out of date; run python benchmarks/write_tables.py", file=sys.stderr)
        else:
            path.write_text(text)
    return 1 if options.check and stale else 0


def _wanted() -> Iterable[tuple[Path, str]]:
    """Yields the files that hold figures, with the text that they should have."""
    for path in sorted([*_ROOT.glob("*.md"), *_ROOT.glob("docs/*.md")]):
        yield path, with_tables(path.read_text(), name=str(path))
    for name in shipped_names():
        yield PRETRAINED / name / "MODEL_CARD.md", model_card(_with_measured_speed(name))


def with_tables(text: str, *, name: str) -> str:
    """Returns a page's text with current tables and figures; errors call the page `name`."""

    def current(match: re.Match[str]) -> str:
        start, kind, wanted = match.groups()
        known = TABLES if kind == "table" else FIGURES
        if wanted not in known:
            raise FerError(f"{name}: no {kind} {wanted!r}; there are {', '.join(known)}")
        return start + known[wanted]()

    return _REGION.sub(current, text)


def _with_measured_speed(name: str) -> dict[str, Any]:
    """A shipped network's card, with the speed that README and docs give for its architecture.

    Its release also measured a speed, on a busy machine; one definition is enough.
    """
    about, measured = card(name), report("model_speed")
    if about["model"] not in _speed_of("fer_jax")["network"]:
        return about
    speed = {
        **{key: measured[key] for key in ("batch_size", "processor", "jax")},
        **{
            key: _speed_of("fer_jax")[key]
            for key in ("cores", "milliseconds_one_face", "faces_per_second")
        },
        "platform": "cpu",
        "parameters": about["parameters"],
        "checkpoint_bytes": size(PRETRAINED / name / "model"),
    }
    return {**about, "speed": speed}


def _speed_of(package: str, kind: str = "") -> dict[str, Any]:
    """The speed of a package's network on one core, as measured by model_speed.py."""
    (row,) = (
        row
        for row in report("model_speed")["rows"]
        if row["cores"] == 1 and row["network"].startswith(package) and kind in row["network"]
    )
    return row


def _comparison() -> str:
    speeds = {"fer_jax": _speed_of("fer_jax"), "fer": _speed_of("`fer`", "TFLite")}
    measured = Measured(
        agreement={"fer_jax": shipped(), "fer": report("fer_accuracy")},
        face_ms={name: row["milliseconds_one_face"] for name, row in speeds.items()},
        sizes=report("install_size"),
        files=report("unreadable_files"),
    )
    return comparison(measured)


def _trainings() -> str:
    head = ["run", "command", "CPU minutes", "crowd, single crop", "crowd, flip-averaged"]
    rows = []
    for run in report("trainings"):
        ours = shipped()
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


def _shipped_networks() -> str:
    """What each shipped network learned, and its accuracy by both kinds of label."""
    learned = {"votes": "the votes of FER+'s ten people", "own": "FER2013's own labels"}
    rows = []
    for name in shipped_names():
        about = card(name)
        run = training_of(about["digest"])
        figures = {**run, **shipped()} if name == DEFAULT else run
        rows.append(
            [
                f"`{name}`",
                f"`{about['model']}`",
                learned[about["config"]["data"]["labels"]],
                percent(figures["accuracy"]),
                percent(figures["label_accuracy"]),
                f"[card](../fer_jax/pretrained/{name}/MODEL_CARD.md)",
            ]
        )
    head = ["name", "network", "learned", "agrees with people", "with FER2013's labels", ""]
    return table(head, rows, left=(0, 1, 2, 5))


def _logit_adjustment() -> str:
    rows = report("logit_adjustment")["rows"]
    shares = sorted({row["share"] for row in rows})
    lines = (
        ("single crop", "accuracy"),
        ("flip-averaged", "flip_accuracy"),
        ("UAR", "uar"),
    )
    cells = []
    for below in sorted({row["below"] for row in rows}, reverse=True):
        some = {row["share"]: row for row in rows if row["below"] == below}
        which = "all" if below == 1 else f"below {below:.2g}"
        cells += [
            [which, text, *(percent(some[share][key]) for share in shares)] for text, key in lines
        ]
    return table(["expressions", "share", *(f"{share:g}" for share in shares)], cells, left=(0, 1))


def _score_profile() -> str:
    measured = of_shipped("score_profile")["cpu_ms"]
    median = {name: statistics.median(each) for name, each in measured.items()}
    plain, whole = median.pop("decoding"), median.pop("whole")
    rows = [[name, f"{value:.2f} ms"] for name, value in median.items()]
    rows[0][0] += f" (in the calling process {plain:.2f})"
    rows.append(["the rest", f"{whole - sum(median.values()):.2f} ms"])
    rows.append(["**the whole run**", f"{whole:.2f} ms"])
    return table(["stage", "processor time per photograph"], rows)


def _model_speed() -> str:
    measured = report("model_speed")
    networks = dict.fromkeys(row["network"] for row in measured["rows"])
    rows = []
    for network in networks:
        one, two = sorted(
            (row for row in measured["rows"] if row["network"] == network),
            key=lambda row: row["cores"],
        )
        latencies = [f"{row['milliseconds_one_face']:.1f} ms" for row in (one, two)]
        rates = [f"{row['faces_per_second']:,.0f}" for row in (one, two)]
        rows.append([network, f"{one['parameters']:,}", *latencies, *rates])
    batches = f"faces a second in batches of {measured['batch_size']}, one core"
    head = ["network", "parameters", "one face, one core", "two cores", batches, "two cores"]
    return table(head, rows)


def _suite() -> str:
    """Every ratio and figure of bench/report.json, by part."""
    rows = []
    for name, part in suite().items():
        for compared, ratio in part.get("ratios", {}).items():
            low, high = min(ratio["rounds"]), max(ratio["rounds"])
            spread = f" ({low:.2f} to {high:.2f})" if low < high else ""
            rows.append([name, compared, f"**{ratio['median']:.2f}**{spread}"])
        rows += [[name, what, figure] for what, figure in part.get("figures", {}).items()]
        if "left_out" in part:
            rows.append([name, "not measured", part["left_out"]])
    return table(["part", "what", "figure"], rows, left=(0, 1))


def _bench_machine() -> str:
    return "".join(f"- {name}: {_machine(part['machine'])}\n" for name, part in suite().items())


def _machine(about: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in about["packages"].items())
    return (
        f"{about['date']}, {about['processor']}, {about['cores']} cores, {about['memory_gib']} GiB, "
        f"load {about['load']}, {about['system']}, Python {about['python']}, {versions}"
    )


TABLES: dict[str, Callable[[], str]] = {
    "comparison": _comparison,
    "trainings": _trainings,
    "logit_adjustment": _logit_adjustment,
    "model_speed": _model_speed,
    "score_profile": _score_profile,
    "networks": networks,
    "shipped": _shipped_networks,
    "scale_measured": scale_table.measured_table,
    "scale_assumed": scale_table.assumed_table,
    "scale_calculated": scale_table.calculated_table,
    "suite": _suite,
    "suite_machine": _bench_machine,
}


if __name__ == "__main__":
    sys.exit(command.run(main))
