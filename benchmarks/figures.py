"""The figures in sentences of README, RESULTS and docs, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import fmean

import scale_table
from markdown_tables import byte_size, percent
from network_table import network_size
from report_files import card, evaluation, of_shipped, report, shipped, suite

_KINDS = {  # of fer_jax.data.degradations, as RESULTS calls them
    "dark": "dark",
    "bright": "bright",
    "blurred": "blurred",
    "small": "20 pixels",
    "noisy": "noisy",
    "shadowed": "half-shadowed",
    "turned": "turned",
}
_NOISE = ("disgust", "fear")  # meaningless labels of the web photographs


def _startup_ratio() -> str:
    (ratio,) = suite()["start-up"]["ratios"].values()
    return f"{ratio['median']:.1f}"


def _degraded_kinds() -> str:
    kinds = evaluation()["degraded"]["kinds"]
    *first, last = (
        f"{_KINDS[kind]} ({100 * each['accuracy']:.1f})" for kind, each in kinds.items()
    )
    return f"{', '.join(first)} and {last}"


def _gaps() -> str:
    gaps = [
        100 * evaluation()["groups"][kind]["largest_gap"]["accuracy"]
        for kind in ("light", "contrast", "sharpness")
    ]
    return "{:.1f}, {:.1f} and {:.1f} points".format(*gaps)


def _agreed(share: str) -> str:
    """Accuracy where that share of people agrees, with its interval."""
    figures = evaluation()["groups"]["agreement"]["groups"][share]
    return percent(figures["accuracy"], figures["accuracy_interval"])


def _mistakes() -> str:
    """How many of all mistakes people made as well."""
    of_all = of_shipped("mistakes")["all"]
    return (
        f"Of all {of_all['count']} mistakes, {of_all['named_by_a_fifth']} name what at least a fifth of "
        f"the people saw, {of_all['named_by_nobody']} what nobody saw"
    )


def _confident_mistakes() -> str:
    found = of_shipped("mistakes")["most_confident"]
    return f"{found['named_by_a_fifth']} of the {found['count']}"


def _mistaken_pairs() -> str:
    pairs = list(of_shipped("mistakes")["all"]["pairs"].items())
    return ", ".join(f"{name} ({count})" for name, count in pairs[:4])


def _profiled() -> str:
    measured = of_shipped("score_profile")
    return f"{measured['photographs']} web photographs with {measured['faces']} faces"


def _eight_times() -> str:
    """Processor time for a photograph on two cores at eight times `fer`'s rate."""
    rate = float(suite()["scoring"]["figures"]["fer"].split()[0])
    return f"{2 * 1000 / (8 * rate):.1f} ms"


def _web_recall() -> str:
    kept = {
        name: each
        for name, each in of_shipped("web_photographs")["expressions"].items()
        if name not in _NOISE
    }
    mean = fmean(each["right"] / each["count"] for each in kept.values())
    counts = (f"{name} {each['right']} of {each['count']}" for name, each in kept.items())
    return f"{percent(mean)} ({', '.join(counts)})"


def _deeper_size() -> str:
    small, deep = network_size("resnet_small"), network_size("resnet_deep")
    parameters = deep.parameters / small.parameters
    multiplications = deep.multiplications / small.multiplications
    return (
        f"{parameters:.1f} times the parameters and {multiplications:.1f} times the multiplications"
    )


def _deeper_adjusted() -> str:
    (run,) = (run for run in report("trainings") if run["run"] == "deeper")
    return f"{percent(run['adjusted']['accuracy'])} (UAR {percent(run['adjusted']['uar'])})"


def _speed_setting() -> str:
    speeds = report("model_speed")
    rounds = speeds["rounds"]
    return f"on an {speeds['processor']}, jax {speeds['jax']}, medians of {rounds} alternating runs"


FIGURES: Mapping[str, Callable[[], str]] = {
    "accuracy": lambda: percent(shipped()["accuracy"]),
    "flip": lambda: percent(shipped()["flip_accuracy"], shipped()["flip_interval"]),
    "calibration": lambda: percent(shipped()["ece"]),
    "degraded": lambda: percent(evaluation()["degraded"]["mean"]["accuracy"]),
    "degraded_kinds": _degraded_kinds,
    "confident": lambda: percent(card()["calibrated"]["confident"]["accuracy"]),
    "disgust": lambda: percent(shipped()["disgust"], digits=0),
    "fear": lambda: percent(shipped()["fear"], digits=0),
    "voted_faces": lambda: f"{card()['report']['count']:,}",
    "gaps": _gaps,
    "agreed_most": lambda: _agreed("90 to 100 %"),
    "agreed_some": lambda: _agreed("70 to 90 %"),
    "agreed_least": lambda: _agreed("0 to 70 %"),
    "web_photographs": lambda: f"{of_shipped('web_photographs')['photographs']}",
    "web_without_face": lambda: f"{of_shipped('web_photographs')['without_face']}",
    "web_recall": _web_recall,
    "mistakes": _mistakes,
    "confident_mistakes": _confident_mistakes,
    "mistaken_pairs": _mistaken_pairs,
    "profiled": _profiled,
    "eight_times": _eight_times,
    "labels": lambda: percent(card("fer2013")["report"]["accuracy"]),
    "deeper_size": _deeper_size,
    "deeper_adjusted": _deeper_adjusted,
    "startup": _startup_ratio,
    "installation": lambda: byte_size(report("install_size")["."]["megabytes"]),
    "speed_setting": _speed_setting,
    "few_workers": scale_table.few_workers,
    "last_unit": scale_table.last_unit,
}
