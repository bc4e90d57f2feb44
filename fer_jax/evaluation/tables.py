"""Reports as tables for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from fer_jax.machine.terminal import printable

_COLUMNS = {"votes": "crowd", "own": "own labels"}


def print_report(report: Mapping[str, Any]) -> None:
    """Prints a report of one network, with what it has by labels, under damage and by group."""
    _print_figures(report)
    if len(report["by_labels"]) > 1:
        _print_by_labels(report["by_labels"])
    if "degraded" in report:
        _print_degraded(report)
    for column, summary in report.get("groups", {}).items():
        _print_groups(column, summary)


def _print_figures(report: Mapping[str, Any]) -> None:
    console = Console(highlight=False)
    digest = report["digest"][:12]
    table = Table(title=f"{report['split']}, {report['count']:,} faces, network {digest}")
    table.add_column("")
    for heading in ("single crop", "flip-averaged"):
        table.add_column(heading, justify="right")
    pair = (report, report["flip"])
    table.add_row("accuracy", *(f"{figures['accuracy']:.2%}" for figures in pair))
    spans = (figures["accuracy_interval"] for figures in pair)
    table.add_row("95 % interval", *(f"{low:.1%} to {high:.1%}" for low, high in spans))
    for name, title in (("uar", "UAR"), ("macro_f1", "macro F1")):
        table.add_row(title, *(f"{figures[name]:.2%}" for figures in pair))
    for name, title in (("loss", "loss"), ("ece", "ECE"), ("calibrated_ece", "ECE, calibrated")):
        table.add_row(title, *(f"{figures[name]:.3f}" for figures in pair))
    for name in report["per_class"]:
        recalls = (figures["per_class"][name]["recall"] for figures in pair)
        table.add_row(f"recall of {name}", *(f"{recall:.1%}" for recall in recalls))
    console.print(table)


def print_runs(each: Sequence[Mapping[str, Any]], summary: Mapping[str, Any]) -> None:
    """Prints what several trainings reach: `reports.across_runs` and each run's own figures."""
    console = Console(highlight=False)
    table = Table(title=f"{summary['runs']} trainings")
    for heading in ("", "mean", "95 % interval", "each"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, title in (("accuracy", "accuracy"), ("uar", "UAR"), ("ece", "ECE")):
        for flip, how in ((False, "single crop"), (True, "flip-averaged")):
            figure, *values = ((r["flip"] if flip else r)[name] for r in (summary, *each))
            low, high = figure["interval"]
            table.add_row(
                f"{title}, {how}",
                f"{figure['mean']:.2%}",
                f"{low:.1%} to {high:.1%}",
                " ".join(f"{value:.2%}" for value in values),
            )
    console.print(table)
    console.print("intervals of the mean show run-to-run variance; those of a run, sampling error")


def _print_by_labels(reports: Mapping[str, Mapping[str, Any]]) -> None:
    table = Table(title="against both kinds of label")
    for heading in ("", "faces", "accuracy", "95 % interval", "UAR", "ECE"):
        table.add_column(heading, justify="right" if heading else "left")
    for by, report in reports.items():
        for figures, how in ((report, "single crop"), (report["flip"], "flip-averaged")):
            table.add_row(f"{_COLUMNS[by]}, {how}", f"{figures['count']:,}", *_shares(figures))
    Console(highlight=False).print(table)


def _print_degraded(report: Mapping[str, Any]) -> None:
    """Prints what each kind of damage costs; the first row is the split as it is."""
    degraded = report["degraded"]
    table = Table(title="degraded, single crop")
    for heading in ("", "accuracy", "95 % interval", "UAR", "ECE"):
        table.add_column(heading, justify="right" if heading else "left")
    table.add_row("plain", *_shares(report))
    for kind, figures in degraded["kinds"].items():
        table.add_row(kind, *_shares(figures))
    mean = degraded["mean"]
    table.add_row("mean", f"{mean['accuracy']:.2%}", "", f"{mean['uar']:.2%}", f"{mean['ece']:.3f}")
    Console(highlight=False).print(table)


def _shares(figures: Mapping[str, Any]) -> tuple[str, str, str, str]:
    low, high = figures["accuracy_interval"]
    interval = f"{low:.1%} to {high:.1%}"
    return f"{figures['accuracy']:.2%}", interval, f"{figures['uar']:.2%}", f"{figures['ece']:.3f}"


def _print_groups(column: str, summary: Mapping[str, Any]) -> None:
    console = Console(highlight=False)
    table = Table(title=f"by {printable(column)}")
    for heading in ("", "faces", "accuracy", "95 % interval", "UAR"):
        table.add_column(heading, justify="right" if heading else "left")
    for value, figures in summary["groups"].items():
        low, high = figures["accuracy_interval"]
        shares = f"{figures['accuracy']:.2%}", f"{low:.1%} to {high:.1%}", f"{figures['uar']:.2%}"
        table.add_row(printable(value), f"{figures['count']:,}", *shares)
    console.print(table)
    if summary["unknown"]:
        console.print(f"{summary['unknown']:,} faces have no {printable(column)}")
    if (gap := summary["largest_gap"]) is not None:
        low, high = gap["interval"]
        console.print(
            f"largest gap in accuracy: {printable(gap['from'])} to {printable(gap['to'])}, "
            f"{gap['accuracy']:.1%} "
            f"(95 % interval {low:.1%} to {high:.1%})"
        )
