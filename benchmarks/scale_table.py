"""The tables of docs/scale.md: measurements, assumptions and results on large runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from markdown_tables import table
from report_files import report

_IMAGES = 100_000_000
_WORKERS, _CORES_OF_A_MACHINE = 1000, 16
_START_S = 90.0
_REPEATED = 0.01  # share of the images
_STORAGE = 20e9  # bytes a second
_UNITS_A_SECOND = 200
_LOOSE, _SHARD = 1024, 10_000  # images in a unit
_WEB_BYTES, _CAMERA_BYTES = 15e3, 4e6
_CORE_HOUR = 0.04  # dollars
_REQUESTS = 0.4e-6  # dollars for one


def hours(
    images: int,
    *,
    workers: int,
    rate: float,
    start_s: float,
    bytes_per_image: float = 0.0,
    store_bytes_per_s: float = float("inf"),
    lost_share: float = 0.0,
    units_per_s: float = float("inf"),
    images_per_unit: int = 1024,
) -> float:
    """Returns a run's hours: those of the slowest of workers, storage and driver, plus the start.

    Args:
        images: to score.
        workers: of one core each.
        rate: images per second of one worker.
        start_s: from the command to the first part.
        bytes_per_image: read from storage.
        store_bytes_per_s: storage throughput for all workers together.
        lost_share: share of the work that is repeated because nodes died.
        units_per_s: that one driver dispatches.
        images_per_unit: in each of them.
    """
    scoring_s = images * (1 + lost_share) / (workers * rate)
    reading_s = images * (1 + lost_share) * bytes_per_image / store_bytes_per_s
    handing_s = images * (1 + lost_share) / (units_per_s * images_per_unit)
    return (start_s + max(scoring_s, reading_s, handing_s)) / 3600


class Rates(NamedTuple):
    """Images a second of one worker on one core."""

    web: float  # of one Ray worker, measured
    camera: float  # by decoding and detection, which take nearly all the time


def rates() -> Rates:
    """Returns the rates that follow from the measurements."""
    measured = report("large_runs")
    camera = measured["camera"]
    return Rates(
        web=measured["workers"]["images_per_second"]["1"],
        camera=round(1000 / (camera["decoding_ms"] + camera["detection_ms"])),
    )


def measured_table() -> str:
    """Returns the measurements and their methods."""
    measured: Mapping[str, Any] = report("large_runs")
    local = measured["local"]
    core_ms = 1000 * local["cores"] / local["images_per_second"]
    rows = [[local["what"], f"{_rate(local['images_per_second'])}, {core_ms:.1f} core-ms each"]]
    for kind in ("web", "camera"):
        each = measured[kind]
        figure = f"{each['decoding_ms']:g} and {each['detection_ms']:g} ms of a core"
        rows.append([each["what"], figure])
    workers = measured["workers"]
    one, two = (workers["images_per_second"][count] for count in ("1", "2"))
    figure = f"{_rate(one)} and {_rate(two)}, {two / one:.2f} times as many"
    rows.append([workers["what"], f"{figure}; the first part after {workers['start_s']} s"])
    how = [measured[kind]["how"] for kind in ("local", "web", "camera", "workers")]
    lines = [[*row, method] for row, method in zip(rows, how, strict=True)]
    return table(["what", "figure", "how"], lines, left=(0, 1, 2))


def assumed_table() -> str:
    """Returns the quantities of the formula and their assumed values."""
    web, camera = rates()
    machines = -(-_WORKERS // _CORES_OF_A_MACHINE)
    start = f"{_START_S:g} s: machines and image are ready, JAX loads"
    rows = [
        ["`images`", "to score", f"{_IMAGES:,}"],
        [
            "`workers`",
            "processes of one core each",
            f"{_WORKERS:,}: {machines} machines of {_CORES_OF_A_MACHINE} cores",
        ],
        [
            "`rate`",
            "images per second of one worker",
            f"{web:g} web photographs, or {camera:g} of a 12-megapixel camera",
        ],
        ["`start`", "from the command to the first running units", start],
        [
            "`repeated`",
            "work done again because machines died",
            f"{100 * _REPEATED:g} %: a death costs the running units",
        ],
        [
            "`bytes`",
            "read per image",
            f"{_WEB_BYTES / 1e3:g} KB, or {_CAMERA_BYTES / 1e6:g} MB",
        ],
        [
            "`storage`",
            "bytes per second of the object store",
            f"{_STORAGE / 1e9:g} GB/s",
        ],
        ["`driver`", "units per second that one driver dispatches", f"{_UNITS_A_SECOND}"],
        ["`unit`", "images in a unit", f"{_LOOSE:,} loose ones, or a shard of {_SHARD:,}"],
        ["price", "of a core with 2 GB, per hour", f"{_CORE_HOUR} dollars"],
    ]
    return table(["quantity", "meaning", "assumed here"], rows, left=(0, 1, 2))


def calculated_table() -> str:
    """Returns hours, costs and bottlenecks of three large runs."""
    web, camera = rates()
    shards, loose = f"{_IMAGES // _SHARD:,}", f"{_IMAGES / 1e6:g} million"
    rows = [
        ["web photographs in shards", *_run(web, _WEB_BYTES, _SHARD, requests=shards)],
        [
            "web photographs, loose",
            *_run(web, _WEB_BYTES, _LOOSE, requests=f"{loose}: {_IMAGES * _REQUESTS:.0f} dollars"),
        ],
        ["camera photographs in shards", *_run(camera, _CAMERA_BYTES, _SHARD, requests=shards)],
    ]
    head = [f"{_IMAGES / 1e6:g} million", "hours", "core cost", "requests", "limited by"]
    return table(head, rows, left=(0, 1, 2, 3, 4))


def _run(rate: float, bytes_per_image: float, unit: int, *, requests: str) -> list[str]:
    taken = hours(
        _IMAGES,
        workers=_WORKERS,
        rate=rate,
        start_s=_START_S,
        bytes_per_image=bytes_per_image,
        store_bytes_per_s=_STORAGE,
        lost_share=_REPEATED,
        units_per_s=_UNITS_A_SECOND,
        images_per_unit=unit,
    )
    limits = {
        "workers": _WORKERS * rate,
        "the storage": _STORAGE / bytes_per_image,
        "the driver": _UNITS_A_SECOND * unit,
    }
    slowest = min(limits, key=lambda name: limits[name])
    limit = f"{slowest}: {_rate(limits[slowest])}"
    if slowest == "workers":
        limit += f", {limits[slowest] * bytes_per_image / 1e9:.3g} GB/s"
    cost = f"{taken * _WORKERS * _CORE_HOUR:.0f} dollars"
    return [f"{taken:.2g}" if taken < 1 else f"{taken:.1f}", cost, requests, limit]


def few_workers() -> str:
    """Returns the seconds for 760 images by one worker and by two: by the formula, and measured."""
    measured = report("large_runs")["workers"]["images_per_second"]
    calculated = [3600 * hours(760, workers=n, rate=rates().web, start_s=0.0) for n in (1, 2)]
    found = [760 / measured[count] for count in ("1", "2")]
    both = " and ".join(f"{seconds:.1f}" for seconds in calculated)
    return f"{both} s, where {' and '.join(f'{s:.1f}' for s in found)} s were measured"


def last_unit() -> str:
    """Returns the seconds for the last unit of web photographs, loose and as a shard."""
    loose, shard = (unit / rates().web for unit in (_LOOSE, _SHARD))
    return (
        f"{loose:.0f} s for loose images, {shard:.0f} s for a shard of {_SHARD:,} web photographs"
    )


def _rate(images_per_second: float) -> str:
    return f"{images_per_second:,.0f} images/s"
