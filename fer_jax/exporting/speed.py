"""Measures how fast a network runs on this machine, for the card of a released checkpoint.

It times what `Predictor` runs: from faces in host memory to logits in host memory.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from fer_jax.inference import MAX_BATCH
from fer_jax.inference.compilation import compile_inference
from fer_jax.inference.network import FACE, inference_function
from fer_jax.machine.processor import cpu_name, usable_cores
from fer_jax.saved_model import SavedModel

_SECONDS = (
    0.6  # per batch size: about a hundred calls with one face, a dozen with the largest batch
)
_FEWEST = 5  # calls at least, however slow
_WARM_UP = 2


def measure_speed(
    saved: SavedModel,
    *,
    checkpoint_bytes: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Any]:
    """Compiles a network for one device and times it: a few seconds. Returns the figures, JSON-able.

    Args:
        saved: the network.
        checkpoint_bytes: size of its weights on disk.
        clock: returns seconds.

        Returns:
        parameters, checkpoint_bytes, `milliseconds_one_face` (median of calls with one face),
        `batch_size` and `faces_per_second` (median of calls with that many faces); and the machine:
        `processor`, `platform`, `cores` that this process may use, `jax` (its version).

    Raises:
        CheckpointError: the network is not one of this version's.
    """
    device = jax.local_devices()[0]
    logits, variables = inference_function(saved, devices=[device])
    placed = jax.device_put(variables, device)
    one, many = (_median_seconds(logits, placed, rows=rows, clock=clock) for rows in (1, MAX_BATCH))
    return {
        "parameters": sum(np.size(leaf) for leaf in jax.tree.leaves(saved.variables["params"])),
        "checkpoint_bytes": checkpoint_bytes,
        "milliseconds_one_face": 1e3 * one,
        "batch_size": MAX_BATCH,
        "faces_per_second": MAX_BATCH / many,
        "processor": cpu_name() if device.platform == "cpu" else device.device_kind,
        "platform": device.platform,
        "cores": usable_cores(),
        "jax": jax.__version__,
    }


def _median_seconds(
    logits: Callable[[Any, jax.Array], jax.Array],
    variables: Any,
    *,
    rows: int,
    clock: Callable[[], float],
) -> float:
    faces = np.random.default_rng(0).integers(0, 256, (rows, *FACE.shape), dtype=FACE.dtype)
    lowered = jax.jit(logits).lower(variables, faces)
    compiled = compile_inference(lowered, platform=jax.local_devices()[0].platform)
    for _ in range(_WARM_UP):
        np.asarray(compiled(variables, faces))
    taken: list[float] = []
    while len(taken) < _FEWEST or sum(taken) < _SECONDS:
        start = clock()
        np.asarray(compiled(variables, faces))
        taken.append(clock() - start)
    return statistics.median(taken)
