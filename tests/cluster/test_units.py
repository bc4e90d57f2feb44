"""Inputs become units: in order, each once; few files in a large run, work for all in a small one."""

from __future__ import annotations

import pytest

from fer_jax.cluster.units import Unit, units


def cut(names: list[str], *, workers: int = 2, size: int = 0, first: int = 0) -> list[Unit]:
    return list(
        units(names, first=first, workers=workers, byte_count=lambda _: size, shortest_bytes=100)
    )


def test_every_input_is_in_one_unit_and_units_follow_the_order_of_parts() -> None:
    names = [f"{n}.jpg" for n in range(5000)]
    names[700], names[701] = "a.tar", "clip.mp4"
    found = sorted(cut(names, first=7), key=lambda unit: unit.part)
    assert [name for unit in found for name in unit.names] == names
    assert [unit.part for unit in found] == list(range(7, 7 + len(found)))
    assert ["a.tar"] in [unit.names for unit in found]
    assert ["clip.mp4"] in [unit.names for unit in found]


def test_units_grow_so_that_a_small_run_is_spread_and_a_large_one_makes_few_files() -> None:
    sizes = [len(unit.names) for unit in cut([f"{n}.jpg" for n in range(20_000)])]
    assert sizes[:8] == [32] * 8
    assert max(sizes) == 1024
    assert len(sizes) < 60


def test_a_long_video_is_split_into_shares_of_one_part_and_comes_last() -> None:
    found = cut(["a.jpg", "s3://bucket/long.mp4", "b.jpg"], size=250)
    assert [(unit.part, unit.share, unit.shares) for unit in found] == [
        (0, 0, 1),
        (2, 0, 1),
        (1, 0, 2),
        (1, 1, 2),
    ]


def shares(*films: int, workers: int) -> list[int]:
    """The number of shares for each of consecutive videos of these sizes in bytes."""
    names = {f"{n}.mp4": size for n, size in enumerate(films)}
    found = units(names, first=0, workers=workers, byte_count=names.__getitem__, shortest_bytes=100)
    counts = {unit.part: unit.shares for unit in found}
    return [counts[part] for part in range(len(films))]


@pytest.mark.parametrize(
    ("size", "workers", "count"),
    [
        (0, 4, 1),
        (199, 4, 1),
        (399, 4, 3),
        (799, 4, 4),  # not seven: the last three would need a second round
        (10_000, 4, 8),
        (10_000, 50, 100),
        (10_000, 300, 100),
        (1_000_000, 200, 200),
        (1_000_000, 1000, 256),
    ],
)
def test_one_video_uses_every_worker_unless_its_shares_would_be_short(size, workers, count) -> None:
    assert shares(size, workers=workers) == [count]


def test_videos_are_split_only_as_far_as_the_workers_need() -> None:
    assert shares(*[10_000] * 1000, workers=64) == [1] * 1000
    assert shares(*[10_000] * 3, workers=2) == [2] * 3
    assert shares(*[200] * 20, 40_000, 0, workers=4) == [*[1] * 20, 8, 1]


def test_names_that_are_not_utf_8_survive_a_table() -> None:
    unit = Unit(3, ["\udcff.jpg", "ä.jpg"], 1, 2)
    (row,) = unit.table().to_pylist()
    assert Unit.of(row) == unit
