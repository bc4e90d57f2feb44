"""Batches of compiled sizes."""

import itertools
import threading

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_jax.inference.buckets import Buckets, bucket_sizes, next_size


def doubled(constants, rows):
    return rows * constants


def row_buckets(function, *, max_rows=8, devices=1):
    row = jax.ShapeDtypeStruct((3,), np.float32)
    two = np.float32(2)
    return Buckets(function, two, row=row, max_rows=max_rows, devices=jax.devices()[:devices])


@given(st.integers(1, 300), st.integers(1, 9))
def test_bucket_sizes_reach_the_largest_batch_by_doubling_at_most(max_rows, devices):
    sizes = bucket_sizes(max_rows, devices=devices)
    assert sizes[0] == 1
    assert max_rows <= sizes[-1] < max_rows + devices
    assert all(a < b <= 2 * a for a, b in itertools.pairwise(sizes))
    assert all(size % devices == 0 for size in sizes if size > devices)


@given(
    st.integers(1, 200),
    st.sets(st.sampled_from(bucket_sizes(64)[1:])),
    st.sampled_from([0.5, 0.15]),
)
def test_no_batch_is_padded_too_much_and_none_is_left_out(rows, ready, padding):
    size = next_size(rows, [1, *ready], padding=padding)
    assert size in {1, *ready}
    assert size - rows < padding * size
    if len(ready) == 6 and padding == 0.5:
        assert size >= min(rows, 64)


def test_calls_use_the_sizes_that_are_ready_while_others_compile():
    compiling, go_on = threading.Event(), threading.Event()

    def slow_to_trace(constants, rows):
        if len(rows) > 1:
            compiling.set()
            assert go_on.wait(timeout=60)
        return doubled(constants, rows)

    buckets = row_buckets(slow_to_trace)
    assert compiling.wait(timeout=60)
    rows = np.arange(33, dtype=np.float32).reshape(11, 3)
    np.testing.assert_array_equal(buckets(rows), rows * 2)
    go_on.set()
    buckets.wait()
    np.testing.assert_array_equal(buckets(rows), rows * 2)
    assert buckets.recompiles == 0


def test_after_a_stop_no_further_size_is_compiled():
    traced, compiling, go_on = [], threading.Event(), threading.Event()

    def traced_by_size(constants, rows):
        traced.append(len(rows))
        if len(rows) > 1:
            compiling.set()
            assert go_on.wait(timeout=60)
        return doubled(constants, rows)

    buckets = row_buckets(traced_by_size)
    assert compiling.wait(timeout=60)
    buckets.stop_compiling()
    go_on.set()
    buckets.wait()
    assert traced == [1, 8]
    rows = np.arange(33, dtype=np.float32).reshape(11, 3)
    np.testing.assert_array_equal(buckets(rows), rows * 2)


def test_a_size_that_fails_to_compile_raises_its_error():
    def fails_at_four(constants, rows):
        if len(rows) == 4:
            raise MemoryError("too large for the device")
        return doubled(constants, rows)

    buckets = row_buckets(fails_at_four)
    for ask in (buckets.wait, lambda: buckets(np.zeros((1, 3), np.float32))):
        with pytest.raises(MemoryError, match="too large"):
            ask()


def test_large_batches_are_spread_over_all_devices():
    devices_of = {}

    def watched(constants, rows):
        note = lambda sharding: devices_of.update({len(rows): sharding.num_devices})  # noqa: E731
        jax.debug.inspect_array_sharding(rows, callback=note)
        return doubled(constants, rows)

    buckets = row_buckets(watched, max_rows=12, devices=6)
    buckets.wait()
    assert devices_of == {1: 1, 2: 1, 4: 1, 6: 6, 12: 6}
    rows = np.arange(3 * 23, dtype=np.float32).reshape(23, 3)
    np.testing.assert_array_equal(buckets(rows), rows * 2)
    assert buckets.recompiles == 0
