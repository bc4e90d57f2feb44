"""Detects whether a set of faces was processed before.

A brightened, clipped and equalised copy of FER2013 still shows faces and trains well, but the network
then fails on cameras. Each kind of processing leaves traces in the whole set. The limits lie between the
values of original faces and those of processed ones; the tests verify that.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fer_jax.data.traces import (
    BLOCK,
    Statistics,
    chosen,
    skin_over_eyes,
    statistics,
    unevenness,
)

_LEAST_IMAGES = 30  # fewer are not conclusive

# Of `Statistics.detail`: FER2013's faces have 0.24, synthetic ones 0.30, crops of photographs from the
# web 0.12; a blur of 0.7 pixels leaves 0.07 to 0.09. Of `Statistics.period`: original faces have 0.05
# at most, enlarged ones 0.16 at least.
_SOFT, _PERIODIC = 0.10, 0.12


@dataclasses.dataclass(frozen=True)
class _Trace:
    """One kind of processing: its criterion, its message, and its strength in each image."""

    found: Callable[[Statistics], bool]
    text: Callable[[Statistics], str]
    amount: Callable[[np.ndarray], np.ndarray]


def _clipped_pixels(images: np.ndarray) -> np.ndarray:
    return ((images == 0) | (images == 255)).mean(axis=(1, 2))


def _evenness(images: np.ndarray) -> np.ndarray:
    return -unevenness(np.stack([np.bincount(image.ravel(), minlength=256) for image in images]))


def _range(images: np.ndarray) -> np.ndarray:
    return np.ptp(images.astype(np.int16), axis=(1, 2))


def _softness(images: np.ndarray) -> np.ndarray:
    wide = images.astype(np.float32)
    contrast = np.maximum(wide.std(axis=(1, 2)), 1)
    return -np.abs(np.diff(wide, n=2, axis=2)).mean(axis=(1, 2)) / contrast


def _blocks(images: np.ndarray) -> np.ndarray:
    step = np.abs(np.diff(images.astype(np.float32), axis=2)).mean(axis=1)
    at = np.arange(BLOCK - 1, step.shape[1] - 1, BLOCK)
    return (step[:, at] - (step[:, at - 1] + step[:, at + 1]) / 2).mean(axis=1)


def _blocky(found: Statistics) -> bool:
    return found.blocking > 0.04


# Next to each limit: the values of PublicTest's original faces and of the synthetic ones, and that of
# the weakest processing to report.
_TRACES: Mapping[str, _Trace] = {
    "clipped": _Trace(
        lambda s: s.white > 0.04 or s.black > 0.06,  # 0.01 and 0.02; 0.06
        lambda s: f"{s.white:.1%} of all pixels are white (255) and {s.black:.1%} black (0)",
        _clipped_pixels,
    ),
    "equalised": _Trace(
        lambda s: s.equalised > 0.3,  # 0.00; 0.8
        lambda s: f"{s.equalised:.0%} of the images have an equalised histogram",
        _evenness,
    ),
    "combed": _Trace(
        lambda s: s.combed > 0.05,  # 0.00; 0.16
        lambda s: f"{s.combed:.0%} of the grey levels are missing, as after multiplying",
        _range,
    ),
    "stretched": _Trace(
        lambda s: s.full_range > 0.9,  # 0.23; 1.0
        lambda s: f"{s.full_range:.0%} of the images reach from black to white",
        _range,
    ),
    "jpeg": _Trace(
        lambda s: _blocky(s) and s.detail > _SOFT,  # 0.01; 0.08 at quality 75
        lambda s: f"8 x 8 blocks of JPEG show: steps between them are {s.blocking:.0%} larger",
        _blocks,
    ),
    "enlarged": _Trace(
        lambda s: (
            s.period > _PERIODIC and (s.detail < _SOFT or (s.detail < 0.15 and not _blocky(s)))
        ),
        lambda s: (
            f"sharpness repeats from pixel to pixel and detail is {s.detail:.2f}, not 0.25: "
            "the images were smaller"
        ),
        _softness,
    ),
    "blurred": _Trace(
        lambda s: s.detail < _SOFT and s.period <= _PERIODIC,
        lambda s: (
            f"fine detail is {s.detail:.2f}, not 0.25: the images are blurred or were smaller"
        ),
        _softness,
    ),
    "inverted": _Trace(
        lambda s: s.lit_from_inside > 0.6,  # 0.2; 0.8
        lambda s: f"{s.lit_from_inside:.0%} of the faces have eyes lighter than their skin",
        lambda images: -skin_over_eyes(images.astype(np.float32)),
    ),
}


def verdicts(found: Statistics, *, lossy: bool = False) -> dict[str, str]:
    """Returns the kinds of processing found in a set, each with a description.

    Args:
        found: the set's statistics.
        lossy: its files are JPEGs, so traces of JPEG are expected.
    """
    if found.images < _LEAST_IMAGES:
        return {}
    return {
        name: trace.text(found)
        for name, trace in _TRACES.items()
        if trace.found(found) and not (lossy and name == "jpeg")
    }


def processing(images: np.ndarray, names: Sequence[str] = ()) -> dict[str, Any]:
    """Returns a set's entry in `explore.json` and in a card: "verdicts" and "statistics".

    Args:
        images: uint8 [N, 48, 48], N >= 1.
        names: of the files, if there are any.
    """
    found = statistics(images)
    lossy = sum(name.lower().endswith((".jpg", ".jpeg")) for name in names) > len(names) / 2
    measured = {
        name: round(value, 4) if isinstance(value, float) else value
        for name, value in dataclasses.asdict(found).items()
    }
    return {"verdicts": verdicts(found, lossy=lossy), "statistics": measured}


def worst(images: np.ndarray, verdict: str, *, count: int) -> np.ndarray:
    """Returns the faces that show a kind of processing most, int [count], worst first.

    Args:
        images: uint8 [N, 48, 48].
        verdict: the kind, a key of `verdicts`.
        count: how many.
    """
    rows = chosen(len(images))
    amounts = _TRACES[verdict].amount(images[rows])
    return rows[np.argsort(-amounts, kind="stable")[:count]]


def sentence(found: Mapping[str, Any]) -> str:
    """Returns the result of `processing` as one line."""
    if not found["verdicts"]:
        return "no trace of processing"
    return "; ".join(f"{name}: {text}" for name, text in found["verdicts"].items())


def differences(trained: Mapping[str, Any] | None, seen: Mapping[str, Any]) -> str:
    """Describes how the processing of faces differs from the training faces; empty if it does not.

    Args:
        trained: `processing` of the training faces, or None if the card does not say.
        seen: of the faces to evaluate on.
    """
    before = set() if trained is None else set(trained["verdicts"])
    now = set(seen["verdicts"])
    parts = []
    if more := sorted(now - before):
        parts.append(f"these faces are {', '.join(more)}")
    if less := sorted(before - now):
        parts.append(f"the training faces were {', '.join(less)}")
    return " and ".join(parts)
