"""Named random streams: every draw is a function of the run's seed, a stream's name and a step.

Nothing is mutable, so a killed and resumed run draws the same values as an uninterrupted one.
"""

from __future__ import annotations

import zlib

import jax
import numpy as np


def _stream_id(name: str) -> int:
    return zlib.crc32(name.encode())


def device_key(root: jax.Array, name: str, step: jax.Array) -> jax.Array:
    """Returns the key of stream `name` at `step` (int32 scalar), for use inside jit."""
    return jax.random.fold_in(jax.random.fold_in(root, _stream_id(name)), step)


def host_generator(seed: int, name: str, step: int) -> np.random.Generator:
    """Returns NumPy's generator for stream `name` at `step`; Philox, so that streams never overlap."""
    key = np.array([seed, _stream_id(name)], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, step]))
