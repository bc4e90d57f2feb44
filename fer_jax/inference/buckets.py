"""A batched function, compiled ahead of time for a few batch sizes, that accepts any number of rows.

The smallest size is compiled first, the others by a background thread; until they are ready, rows use
the sizes that are. Rows are split into these sizes, and the last batch is padded.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec, Sharding, SingleDeviceSharding
from jax.stages import Compiled, Lowered

from fer_jax.inference.compilation import CompileCounter, compile_inference

Device = Any  # jax.Device, which type checkers treat as a variable

# Share of a batch that may be padding. On a CPU an empty row takes as long as a face. Milliseconds for
# `resnet_small`, cut into more batches and padded to one (at worst 9.1 and 7.7: 6 rows on two cores):
#
#     rows        5             12             27             40
#     1 core      7.4,  9.9     15.2, 19.7     35.0, 39.2     48.8, 78.5
#     2 cores     8.9, 11.1     13.2, 14.9     29.1, 30.3     36.6, 51.6
_PADDING, _CPU_PADDING = 0.5, 0.15

_IN_FLIGHT = 2  # batches on the device while the previous result is fetched


class Buckets:
    """The compiled sizes of one function; any number of threads may call it.

    Attributes:
        sizes: the batch sizes, ascending.
        padding: empty rows that calls have computed.
    """

    def __init__(
        self,
        function: Callable[[Any, jax.Array], jax.Array],
        constants: Any,
        *,
        row: jax.ShapeDtypeStruct,
        max_rows: int,
        devices: Sequence[Device],
    ) -> None:
        """Compiles the smallest size and starts to compile the others.

        Args:
            function: pure; constants, rows [B, ...] -> [B, ...], row by row.
            constants: pytree of arrays; put on the devices once.
            row: shape and dtype of one row.
            max_rows: the largest size; rounded up to a multiple of the devices.
            devices: one, or several to spread a batch over.
        """
        self.sizes = bucket_sizes(max_rows, devices=len(devices))
        self.padding = 0
        self._function, self._row = function, row
        self._platform: str = devices[0].platform
        self._padding = _CPU_PADDING if self._platform == "cpu" else _PADDING
        self._layouts = _Layouts(constants, devices)
        self._counter = CompileCounter()
        self._failure: Exception | None = None
        self._no_more = threading.Event()
        lowered = self._lower(self.sizes[0])
        self._out = jax.ShapeDtypeStruct(lowered.out_info.shape[1:], lowered.out_info.dtype)
        self._ready: dict[int, Compiled] = {self.sizes[0]: self._compile(lowered)}
        self._thread = threading.Thread(target=self._compile_others, name="compile buckets")
        self._thread.start()

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Returns the function's value, [N, ...], for rows [N, ...]; N may be 0."""
        self._check()
        rows = np.ascontiguousarray(rows, self._row.dtype)
        out = np.empty((len(rows), *self._out.shape), self._out.dtype)
        in_flight: deque[tuple[int, int, jax.Array]] = deque()
        start = 0
        with self._counter:
            while start < len(rows) or in_flight:
                if start < len(rows) and len(in_flight) < _IN_FLIGHT:
                    ready = self._ready
                    size = next_size(len(rows) - start, list(ready), padding=self._padding)
                    end = min(start + size, len(rows))
                    in_flight.append((start, end, self._launch(ready[size], size, rows[start:end])))
                    start = end
                else:
                    first, last, result = in_flight.popleft()
                    out[first:last] = np.asarray(result)[: last - first]
        return out

    @property
    def recompiles(self) -> int:
        """Programs that calls have compiled; stays 0."""
        return self._counter.count

    def wait(self) -> None:
        """Waits for compilation: of every size, or of the current one after `stop_compiling`.

        Raises what a compilation raised.
        """
        self._thread.join()
        self._check()

    def stop_compiling(self) -> None:
        """Starts no further compilation: calls use the sizes that are ready."""
        self._no_more.set()

    def _launch(self, compiled: Compiled, size: int, rows: np.ndarray) -> jax.Array:
        if len(rows) < size:
            padded = np.zeros((size, *self._row.shape), self._row.dtype)
            padded[: len(rows)] = rows
            self.padding += size - len(rows)
            rows = padded
        return compiled(self._layouts.constants(size), rows)

    def _lower(self, size: int) -> Lowered:
        sharding = self._layouts.rows(size)
        rows = jax.ShapeDtypeStruct((size, *self._row.shape), self._row.dtype, sharding=sharding)
        compiled = jax.jit(self._function, out_shardings=sharding)
        return compiled.lower(self._layouts.constants(size), rows)

    def _compile(self, lowered: Lowered) -> Compiled:
        return compile_inference(lowered, platform=self._platform)

    def _compile_others(self) -> None:
        # The largest first, because a folder of images uses that one.
        *between, largest = self.sizes[1:] or self.sizes
        for size in (largest, *between):
            if self._no_more.is_set() or not threading.main_thread().is_alive():
                return  # an ending process waits for this thread
            try:
                if size not in self._ready:
                    self._ready = {**self._ready, size: self._compile(self._lower(size))}
            except Exception as error:  # noqa: BLE001 - raised by the next call
                self._failure = error
                return

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure


def bucket_sizes(max_rows: int, *, devices: int = 1) -> tuple[int, ...]:
    """Returns the batch sizes up to `max_rows`, each at most twice the one before.

    Sizes from the number of devices up are multiples of it; smaller ones run on one device.

    Raises:
        ValueError: `max_rows` is below 1.
    """
    if max_rows < 1:
        raise ValueError(f"the largest batch must have 1 row or more, got {max_rows}")
    if max_rows > devices:
        max_rows = -(-max_rows // devices) * devices
    sizes = {max_rows}
    for first, end in ((1, min(devices, max_rows)), (devices, max_rows)):
        size = first
        while size < end:
            sizes.add(size)
            size *= 2
    return tuple(sorted(sizes))


def next_size(rows: int, ready: Sequence[int], *, padding: float = _PADDING) -> int:
    """Returns which of the `ready` sizes to use next for `rows` >= 1 rows.

    That is the smallest that holds them all. If a share of `padding` or more of it would be empty, it is
    the next smaller one, if there is one, which is then full.
    """
    holding = min((size for size in ready if size >= rows), default=None)
    within = max((size for size in ready if size <= rows), default=None)
    if within is None or (holding is not None and holding - rows < padding * holding):
        return min(ready) if holding is None else holding
    return within


class _Layouts:
    """The placement of rows and constants by size: spread over all devices, or on the first."""

    def __init__(self, constants: Any, devices: Sequence[Device]) -> None:
        self._count = len(devices)
        one: Sharding = SingleDeviceSharding(devices[0])
        self._one = one, jax.device_put(constants, one)
        if self._count > 1:
            mesh = jax.make_mesh(
                (self._count,), ("data",), axis_types=(AxisType.Auto,), devices=tuple(devices)
            )
            everywhere = jax.device_put(constants, NamedSharding(mesh, PartitionSpec()))
            self._all = NamedSharding(mesh, PartitionSpec("data")), everywhere

    def rows(self, size: int) -> Sharding:
        return self._of(size)[0]

    def constants(self, size: int) -> Any:
        return self._of(size)[1]

    def _of(self, size: int) -> tuple[Sharding, Any]:
        return self._all if self._count > 1 and size % self._count == 0 else self._one
