"""Inputs become units: in order, each once, few files of a large run and work for all in a small one."""

from __future__ import annotations

from fer_jax.cluster.units import Unit, units


def cut(names: list[str], *, workers: int = 2, size: int = 0, first: int = 0) -> list[Unit]:
    return list(
        units(names, first=first, workers=workers, byte_count=lambda name: size, split_bytes=100)
    )


def test_every_input_is_in_one_unit_and_their_order_is_that_of_the_parts() -> None:
    names = [f"{n}.jpg" for n in range(5000)]
    names[700], names[701] = "a.tar", "clip.mp4"
    found = cut(names, first=7)
    assert [name for unit in found for name in unit.names] == names
    assert [unit.part for unit in found] == list(range(7, 7 + len(found)))
    assert ["a.tar"] in [unit.names for unit in found]
    assert ["clip.mp4"] in [unit.names for unit in found]


def test_units_grow_so_that_a_small_run_is_spread_and_a_large_one_makes_few_files() -> None:
    sizes = [len(unit.names) for unit in cut([f"{n}.jpg" for n in range(20_000)])]
    assert sizes[:8] == [32] * 8
    assert max(sizes) == 1024
    assert len(sizes) < 60


def test_a_long_video_becomes_shares_of_one_part() -> None:
    found = cut(["a.jpg", "s3://bucket/long.mp4", "b.jpg"], size=250)
    assert [(unit.part, unit.share, unit.shares) for unit in found] == [
        (0, 0, 1),
        (1, 0, 3),
        (1, 1, 3),
        (1, 2, 3),
        (2, 0, 1),
    ]


def test_names_that_are_not_utf_8_pass_through_a_table() -> None:
    unit = Unit(3, ["\udcff.jpg", "ä.jpg"], 1, 2)
    (row,) = unit.table().to_pylist()
    assert Unit.of(row) == unit
