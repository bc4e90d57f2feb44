"""Standardises pixels inside the compiled call, after `faces.preprocess` has run on the host."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32, Real

# A blank face has no contrast to divide by; one grey level is below any photograph's noise.
_MIN_STD = 1.0


def standardise(
    faces: Real[jax.Array | np.ndarray, "batch height width"],
) -> Float32[jax.Array, "batch height width 1"]:
    """Returns each face shifted to zero mean and scaled to unit standard deviation.

    Args:
        faces: grey levels 0 to 255.

    Returns:
        The standardised faces; a constant face becomes all zeros.
    """
    pixels = jnp.asarray(faces, jnp.float32)
    centred = pixels - jnp.mean(pixels, axis=(1, 2), keepdims=True)
    std = jnp.sqrt(jnp.mean(jnp.square(centred), axis=(1, 2), keepdims=True))
    return (centred / jnp.maximum(std, _MIN_STD))[..., None]
