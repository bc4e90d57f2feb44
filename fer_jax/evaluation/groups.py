"""Figures by group of people or images: does the network work equally well for everybody?

The groups come from a csv file with one row per face, its `name` and further columns (age, gender, skin
tone, lighting), or are measured: how light, contrasty and sharp a face is, and how far people agree
about it. Read each gap with its interval: small groups have wide ones.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from fer_jax.data import votes
from fer_jax.data.faces import Faces
from fer_jax.errors import DataError
from fer_jax.evaluation import metrics
from fer_jax.faces.quality import measure
from fer_jax.machine.regular_files import read_regular

_NAMES = ("name", "path", "file", "image")  # headers of the column that names the face
_MOST_BYTES = 256 << 20
_UNKNOWN = ""
_THIRDS = ("bottom third", "middle third", "top third")  # in the order that names sort in


def read_groups(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Returns, by column, the group of each named face; an empty string where the file has none.

    Args:
        path: a csv file with a header; one column is "name" (or "path", "file", "image") and holds
            names as the data has them, or their last part where that is unique.
        names: N names of faces (`Faces.names`).

    Returns:
        Column -> str [N].

    Raises:
        DataError: the file cannot be read, or names no face of the data.
    """
    try:
        text = read_regular(path, most_bytes=_MOST_BYTES).decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True)
        rows, header = list(reader), list(reader.fieldnames or [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as csv ({error})") from error
    key = next((name for name in header if name.strip().lower() in _NAMES), None)
    columns = [name for name in header if name != key]
    if key is None or not columns:
        raise DataError(
            f"{path}: expected a column {_NAMES[0]!r} and one or more columns of groups, "
            f"found {', '.join(header) or 'nothing'}"
        )
    place = _places(names)
    groups = {column: np.full(len(names), _UNKNOWN, object) for column in columns}
    matched = 0
    for row in rows:
        at = place.get((row[key] or "").strip())
        if at is not None:
            matched += 1
            for column in columns:
                groups[column][at] = (row[column] or "").strip()
    if not matched:
        raise DataError(
            f"{path}: none of its {len(rows)} names is a face of the data, whose first is {names[0]!r}"
        )
    return groups


def measured_groups(faces: Faces) -> dict[str, np.ndarray]:
    """Returns groups that need no file, column -> str [N].

    They are thirds of the faces by mean grey level ("light"), standard deviation ("contrast") and detail
    ("sharpness"), and, where there are votes, bands of the majority's share of them ("agreement").
    """
    side = faces.images.shape[1]
    each = [measure(image, side=side) for image in faces.images]
    groups = {
        column: _thirds(np.array([getattr(measures, column) for measures in each]))
        for column in ("light", "contrast", "sharpness")
    }
    if faces.votes is not None:
        share = votes.shares(faces.votes).max(axis=1) * votes.weights(faces.votes)
        bands = np.digitize(share, (0.7, 0.9))
        groups["agreement"] = np.array(["0 to 70 %", "70 to 90 %", "90 to 100 %"], object)[bands]
    return groups


def _thirds(values: np.ndarray) -> np.ndarray:
    limits = np.quantile(values, (1 / 3, 2 / 3))
    return np.array(_THIRDS, object)[np.digitize(values, limits)]


def _places(names: Sequence[str]) -> dict[str, int]:
    """Name -> index; also by the last part of a name, where it is unique."""
    last: dict[str, int | None] = {}
    for k, name in enumerate(names):
        part = PurePath(name).name
        last[part] = None if part in last else k
    unique = {part: k for part, k in last.items() if k is not None}
    return unique | {name: k for k, name in enumerate(names)}


def group_report(
    probabilities: metrics.Probabilities, labels: metrics.Labels, groups: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """Returns, by column, the figures of each group and the largest gap in accuracy between two.

    Args:
        probabilities: calibrated or not.
        labels: of the same faces.
        groups: column -> str [N]; faces with an empty string are only counted.

    Returns:
        Column -> {"unknown": count, "groups": {value: report}, "largest_gap": {"from", "to",
        "accuracy", "interval"} or None}; the gap's 95 % interval is Newcombe's (1998).
    """
    summaries = {}
    for column, values in groups.items():
        present = sorted(set(values) - {_UNKNOWN})
        reports = {
            value: metrics.report(probabilities[values == value], labels[values == value])
            for value in present
        }
        summaries[column] = {
            "unknown": int((values == _UNKNOWN).sum()),
            "groups": reports,
            "largest_gap": _largest_gap(reports),
        }
    return summaries


def _largest_gap(reports: Mapping[str, Mapping[str, Any]]) -> dict[str, Any] | None:
    if len(reports) < 2:
        return None
    by_accuracy = sorted(reports, key=lambda value: reports[value]["accuracy"])
    low, high = reports[by_accuracy[0]], reports[by_accuracy[-1]]
    gap = high["accuracy"] - low["accuracy"]
    # Newcombe's hybrid score interval of a difference, computed from the two Wilson intervals.
    (low_from, low_to), (high_from, high_to) = low["accuracy_interval"], high["accuracy_interval"]
    below = math.hypot(high["accuracy"] - high_from, low_to - low["accuracy"])
    above = math.hypot(high_to - high["accuracy"], low["accuracy"] - low_from)
    return {
        "from": by_accuracy[0],
        "to": by_accuracy[-1],
        "accuracy": gap,
        "interval": [max(-1.0, gap - below), min(1.0, gap + above)],
    }
