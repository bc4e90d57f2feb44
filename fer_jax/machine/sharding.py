"""One mesh with one axis: batches are sharded over the devices, the state is replicated.

Plain jit does the rest, for the devices of one host or of many. A single device is a mesh of one. On a
CPU the mesh consists of simulated devices, because XLA uses two cores a third better as two devices than
as one.
"""

from __future__ import annotations

import contextlib
from itertools import groupby
from typing import Any, TypeVar

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from fer_jax.errors import ConfigError
from fer_jax.machine.processor import usable_cores

# With smaller shards, devices spend their time waiting for each other.
_CPU_BATCH = 16

Tree = TypeVar("Tree")


def simulate_cpu_devices(count: int) -> None:
    """Splits the CPU into `count` devices (0: one a core), unless the process has used JAX already."""
    with contextlib.suppress(RuntimeError):  # JAX raises it once its backends are initialised
        jax.config.update("jax_num_cpu_devices", count or usable_cores())


def data_mesh(*, devices: int, batch_size: int, accumulate: int = 1) -> Mesh:
    """Returns a mesh with the one axis "data", of as many devices of each process.

    Args:
        devices: how many to use; 0 takes as many of those present as divide the batch, on a CPU
            only so many that each has 16 faces a step.
        batch_size: faces a step.
        accumulate: in how many passes.

    Raises:
        ConfigError: fewer devices are present, or they do not divide the batch.
    """
    by_process = _devices_by_process()
    processes, present = len(by_process), sum(map(len, by_process))
    if devices > present:
        raise ConfigError(f"config.devices={devices}, but {present} are present")
    rows = batch_size // accumulate
    if devices % processes:
        raise ConfigError(
            f"config.devices={devices} cannot be spread over {processes} processes: take a multiple"
        )
    if rows % (devices or processes):
        passes = f" in config.accumulate={accumulate} passes" if accumulate > 1 else ""
        over = f"config.devices={devices}" if devices else f"{processes} processes"
        raise ConfigError(
            f"config.batch_size={batch_size}{passes} cannot be spread over {over}: take a multiple"
        )
    each = devices // processes or _most_that_divide(rows // processes, present // processes)
    chosen = [device for of_one in by_process for device in of_one[:each]]
    # Not make_mesh, which may change their order: a process's rows of a batch stay together.
    return Mesh(np.array(chosen), ("data",), axis_types=(AxisType.Auto,))


def _devices_by_process() -> list[list[Any]]:
    """As many devices of each process, in the order of the processes."""
    all_devices = sorted(jax.devices(), key=lambda device: (device.process_index, device.id))
    groups = [list(of_one) for _, of_one in groupby(all_devices, lambda each: each.process_index)]
    fewest = min(map(len, groups))
    return [of_one[:fewest] for of_one in groups]


def _most_that_divide(rows: int, present: int) -> int:
    """The most devices over which a process's rows of a batch divide."""
    if jax.default_backend() == "cpu":
        present = min(present, max(1, rows // _CPU_BATCH))
    return max(n for n in range(1, present + 1) if rows % n == 0)


def replicated(mesh: Mesh) -> NamedSharding:
    """The same on every device."""
    return NamedSharding(mesh, PartitionSpec())


def over_data(mesh: Mesh) -> NamedSharding:
    """The leading axis spread over the devices."""
    return NamedSharding(mesh, PartitionSpec("data"))


def own_rows(mesh: Mesh, count: int) -> slice:
    """Returns which of a batch's `count` rows the devices of this process hold."""
    own = [
        k for k, device in enumerate(mesh.devices) if device.process_index == jax.process_index()
    ]
    each = count // mesh.size
    return slice(own[0] * each, (own[-1] + 1) * each)


def put_rows(rows: Tree, mesh: Mesh) -> Tree:
    """Moves this process's rows of a batch (leading axis of host arrays) to its devices."""
    rows = jax.tree.map(np.asarray, rows)
    if jax.process_count() == 1:
        return jax.device_put(rows, over_data(mesh))
    with jax.transfer_guard("allow"):  # JAX takes it for an unintended transfer
        return jax.make_array_from_process_local_data(over_data(mesh), rows)


def put_batch(batch: Tree, mesh: Mesh) -> Tree:
    """Moves a batch of host arrays (leading axis B), which every process holds, to the devices."""
    count = len(jax.tree.leaves(batch)[0])
    own = own_rows(mesh, count)
    return put_rows(jax.tree.map(lambda leaf: np.asarray(leaf)[own], batch), mesh)


def put_everywhere(tree: Tree, mesh: Mesh) -> Tree:
    """Moves host arrays, which every process holds, to all devices."""
    if jax.process_count() == 1:
        return jax.device_put(tree, replicated(mesh))
    with jax.transfer_guard("allow"):
        return jax.tree.map(
            lambda leaf: jax.make_array_from_process_local_data(
                replicated(mesh), np.asarray(leaf), np.shape(leaf)
            ),
            tree,
        )
