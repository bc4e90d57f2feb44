"""The suite's parts: the benchmark of each, its requirements, and how its report is read."""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from turns import has_module

HERE = Path(__file__).resolve().parent
Options = argparse.Namespace
_CROWDS = {
    "without_the_bad_ones": "80 viewers",
    "with_the_bad_ones": "80 viewers alongside 20 that read badly",
}


class Part(NamedTuple):
    """One benchmark.

    Attributes:
        script: its file in this folder.
        flags: its flags, from the suite's options.
        needs: why it cannot run, or None.
        ratios: from its report, comparison -> ratio by round; larger is better for fer_jax.
        figures: from its report, quantity -> value with unit.
    """

    script: str
    flags: Callable[[Options], list[str]]
    needs: Callable[[Options], str | None]
    ratios: Callable[[Any], dict[str, list[float]]]
    figures: Callable[[Any], dict[str, str]]


def _has(option: str, module: str) -> Callable[[Options], str | None]:
    """Requires a module of another environment, whose Python an option names."""

    def needs(options: Options) -> str | None:
        python = getattr(options, option)
        if has_module(python, module):
            return None
        return f"{python} has no {module}; make bench tries to install it"

    return needs


_has_fer = _has("fer_python", "fer")


def _scoring_needs(options: Options) -> str | None:
    return _has_fer(options) or (None if options.dir else "name photographs with DIR=")


def _live_needs(options: Options) -> str | None:
    del options
    if sys.platform != "linux":
        return "needs Linux, where loopback has an address for every ten viewers"
    return None if importlib.util.find_spec("psutil") else "needs the package psutil"


def _video_needs(options: Options) -> str | None:
    missing = _live_needs(options) or _has_fer(options)
    return missing or (None if options.video else "name a video with VIDEO=")


def _training_figures(report: Any) -> dict[str, str]:
    return {
        name: f"{row['images_per_second']:.0f} images/s" for name, row in report["rows"].items()
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
    ours, *_ = report  # the key is the checkout's path
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


def _live_ratios(report: Any) -> dict[str, list[float]]:
    alone, beside = (report["figures"]["crowd"][key] for key in _CROWDS)
    return {
        "p95 age of 80 viewers' frames, alone / alongside 20 that read badly": [
            alone["age_p95_ms"] / beside["age_p95_ms"]
        ]
    }


def _live_figures(report: Any) -> dict[str, str]:
    one, crowd = report["figures"]["latency"], report["figures"]["crowd"]
    return {"one viewer": f"{one['frames_a_second']:.1f} frames/s, {_ages(one)}"} | {
        name: f"{crowd[key]['frames_a_second_lowest']:.1f} frames/s at least, {_ages(crowd[key])}"
        for key, name in _CROWDS.items()
    }


def _ages(seen: Any) -> str:
    return f"age p50 {seen['age_p50_ms']:.0f} ms, p95 {seen['age_p95_ms']:.0f} ms"


def _video_ratios(report: Any) -> dict[str, list[float]]:
    return {"frames/s, fer_jax / fer": report["figures"]["unpaced"]["times_fer_by_round"]}


def _video_figures(report: Any) -> dict[str, str]:
    rates = report["figures"]["unpaced"]
    return {
        name: f"{statistics.median(rates[key]):.1f} frames analysed/s"
        for name, key in (
            ("fer_jax", "frames_a_second_by_round"),
            ("fer", "fer_frames_a_second_by_round"),
        )
    }


PARTS: Mapping[str, Part] = {
    "training": Part(
        "train_throughput.py",
        lambda options: ["--keras-python", options.keras_python],
        _has("keras_python", "tensorflow"),
        lambda report: report["ratios"],
        _training_figures,
    ),
    "training-pytorch": Part(
        "train_throughput.py",
        lambda options: ["--model", "resnet_small", "--torch-python", options.torch_python],
        _has("torch_python", "torch"),
        lambda report: report["ratios"],
        _training_figures,
    ),
    "network": Part(
        "model_speed.py",
        lambda options: [
            *("--fer-python", options.fer_python, "--torch-python", options.torch_python)
        ],
        _has_fer,
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
    "live": Part(
        "live_load.py",
        lambda options: ["latency", "crowd"],
        _live_needs,
        _live_ratios,
        _live_figures,
    ),
    "live-video": Part(
        "live_load.py",
        lambda options: ["unpaced", "--video", options.video, "--fer-python", options.fer_python],
        _video_needs,
        _video_ratios,
        _video_figures,
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
        lambda options: [str(HERE.parent), "fer==25.10.3", "deepface==0.0.103", "py-feat==2.1.5"],
        lambda options: None if options.install else "needs a package index; add --install",
        _install_ratios,
        _install_figures,
    ),
}
