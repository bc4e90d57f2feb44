"""One mesh with one axis: batches are sharded over the devices, the state is replicated.

Plain jit does the rest. A single device is a mesh of one. On a CPU the mesh consists of simulated
devices, because XLA uses two cores a third better as two devices than as one.
"""

from __future__ import annotations

import contextlib
from typing import TypeVar

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


def data_mesh(*, devices: int, batch_size: int) -> Mesh:
    """Returns a mesh with the one axis "data".

    Args:
        devices: how many to use; 0 takes as many of those present as divide the batch, on a CPU
            only so many that each has 16 faces a step.
        batch_size: faces a step.

    Raises:
        ConfigError: fewer devices are present, or they do not divide the batch.
    """
    present = jax.device_count()
    if devices > present:
        raise ConfigError(f"config.devices={devices}, but {present} are present")
    if devices and batch_size % devices:
        raise ConfigError(
            f"config.batch_size={batch_size} cannot be spread over config.devices={devices}: "
            "take a multiple"
        )
    most = present
    if jax.default_backend() == "cpu":
        most = min(present, max(1, batch_size // _CPU_BATCH))
    count = devices or max(n for n in range(1, most + 1) if batch_size % n == 0)
    return jax.make_mesh(
        (count,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:count]
    )


def replicated(mesh: Mesh) -> NamedSharding:
    """The same on every device."""
    return NamedSharding(mesh, PartitionSpec())


def over_data(mesh: Mesh) -> NamedSharding:
    """The leading axis spread over the devices."""
    return NamedSharding(mesh, PartitionSpec("data"))


def put_batch(batch: Tree, mesh: Mesh) -> Tree:
    """Moves a batch of host arrays (leading axis B) to the devices."""
    return jax.device_put(jax.tree.map(np.asarray, batch), over_data(mesh))
