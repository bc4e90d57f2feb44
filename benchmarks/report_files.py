"""The sources of README's and docs' figures: the shipped cards and the benchmark reports.

Reports are in benchmarks/reports, as the benchmarks' --json writes them, and in bench/. Figures of the
shipped network come only from its card; reports hold what its card does not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fer_jax.errors import FerError
from fer_jax.machine.files import write_json
from fer_jax.pretrained import DEFAULT, PRETRAINED

REPORTS = Path(__file__).with_name("reports")
_SUITE = Path(__file__).resolve().parents[1] / "bench" / "report.json"
_EVALUATE = "fer-jax evaluate --data FER2013 --degraded --groups measured --out evaluation"
_GROUP = ("count", "accuracy", "accuracy_interval")


def card(name: str = DEFAULT) -> dict[str, Any]:
    """Returns the card of a shipped network."""
    return json.loads((PRETRAINED / name / "card.json").read_text())


def report(name: str) -> Any:
    """Returns a stored report."""
    return json.loads((REPORTS / f"{name}.json").read_text())


def suite() -> Mapping[str, Any]:
    """Returns the parts of bench/report.json by name, as `make bench` wrote them."""
    return json.loads(_SUITE.read_text())["parts"]


def shipped() -> dict[str, Any]:
    """Returns the figures of the default network, named as in reports/trainings.json."""
    about = card()
    figures = about["report"]
    return {
        "accuracy": figures["accuracy"],
        "accuracy_interval": figures["accuracy_interval"],
        "flip_accuracy": figures["flip"]["accuracy"],
        "flip_interval": figures["flip"]["accuracy_interval"],
        "uar": figures["uar"],
        "ece": about["calibrated"]["ece"],
        "digest": about["digest"],
        "share": about["config"]["loss"]["logit_adjustment"],
        **{name: figures["per_class"][name]["recall"] for name in ("disgust", "fear")},
    }


def training_of(digest: str) -> dict[str, Any]:
    """Returns the run in reports/trainings.json that produced a network.

    Raises:
        FerError: there is none.
    """
    for run in report("trainings"):
        if digest.startswith(run["digest"]):
            return run
    raise FerError(f"benchmarks/reports/trainings.json: add the run of network {digest[:12]}")


def of_shipped(name: str) -> Any:
    """Returns a stored report on the default network.

    Raises:
        FerError: it is on another network.
    """
    kept = report(name)
    if kept["digest"] != card()["digest"]:
        raise FerError(
            f"benchmarks/reports/{name}.json is of {kept['digest'][:12]}, not of the shipped network; "
            f"measure again: {kept['command']}"
        )
    return kept


def evaluation() -> Any:
    """Returns the report of `fer-jax evaluate` on the default network, degraded and by group."""
    return of_shipped("evaluation")


def keep_evaluation(folder: Path) -> None:
    """Stores what README and docs show of a report that `fer-jax evaluate` wrote into a folder.

    Raises:
        FerError: the report lacks a part.
    """
    whole = json.loads((folder / "report.json").read_text())
    if missing := {"degraded", "groups"} - whole.keys():
        lacks = " and ".join(sorted(missing))
        raise FerError(f"{folder}/report.json lacks {lacks}; run {_EVALUATE}")
    groups = {
        kind: {
            "groups": {
                name: {figure: each[figure] for figure in _GROUP}
                for name, each in found["groups"].items()
            },
            "largest_gap": found["largest_gap"],
        }
        for kind, found in whole["groups"].items()
    }
    kept = {
        "command": f"{_EVALUATE}; python benchmarks/write_tables.py --evaluation evaluation",
        "digest": whole["digest"],
        "degraded": whole["degraded"],
        "groups": groups,
    }
    write_json(REPORTS / "evaluation.json", kept)
