"""`training.augment` inside the compiled step, for data on the device.

The same warps, gammas, cameras and rectangles with the same distributions, drawn from the step's key. On
a CPU the host's version is far cheaper.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jaxtyping import Float32, Key, UInt8

from fer_jax.config import AugmentConfig
from fer_jax.faces.preprocess import FACE_SIZE
from fer_jax.training.device_degradations import random_degradation

_CENTRE = (FACE_SIZE - 1) / 2


def augment(
    key: Key[jax.Array, ""],
    faces: UInt8[jax.Array, "batch 48 48"],
    *,
    config: AugmentConfig,
    size: int = FACE_SIZE,
) -> UInt8[jax.Array, "batch {size} {size}"]:
    """Returns augmented copies of `faces`, of `size` pixels a side."""
    warp_key, gamma_key, camera_key, kind_key, erase_key = jax.random.split(key, 5)
    varied = faces.astype(jnp.float32)
    if config.camera:
        seen = jax.random.bernoulli(camera_key, config.camera, (len(faces), 1, 1))
        varied = jnp.where(seen, random_degradation(kind_key, varied), varied)
    matrices = warp_matrices(warp_key, len(faces), config=config)
    varied = warped(varied, matrices, size=size)
    if config.gamma:
        exponent = jnp.exp(_symmetric(gamma_key, (len(faces), 1, 1), config.gamma))
        varied = jnp.round(255 * (varied / 255) ** exponent)
    if config.erase_probability:
        varied = _erased(erase_key, varied, config=config)
    return varied.astype(jnp.uint8)


def warp_matrices(
    key: Key[jax.Array, ""], count: int, *, config: AugmentConfig
) -> Float32[jax.Array, "{count} 2 3"]:
    """Random affine maps about the image's centre, in pixels; see `augment.warp_matrices`."""
    keys = jax.random.split(key, 5)
    angle = jnp.radians(_symmetric(keys[0], (count,), config.rotate_degrees))
    zoom = 1 + _symmetric(keys[1], (count,), config.scale)
    shear = _symmetric(keys[2], (count,), config.shear)
    shift = FACE_SIZE * _symmetric(keys[3], (count, 2), config.translate)
    mirror = jnp.where(jax.random.bernoulli(keys[4], 0.5 * config.flip, (count,)), -1.0, 1.0)
    cos, sin = zoom * jnp.cos(angle), zoom * jnp.sin(angle)
    rows = [[cos * mirror, shear * cos - sin], [sin * mirror, shear * sin + cos]]
    linear = jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=1)
    offset = _CENTRE - _CENTRE * linear.sum(axis=2) + shift
    return jnp.concatenate([linear, offset[:, :, None]], axis=2)


def warped(
    faces: Float32[jax.Array, "batch 48 48"],
    matrices: Float32[jax.Array, "batch 2 3"],
    *,
    size: int,
) -> Float32[jax.Array, "batch {size} {size}"]:
    """Returns faces moved by maps from their pixels to the result's, which is enlarged or reduced.

    Linear between pixels, mirrored beyond the border, in whole grey levels.
    """
    scale = size / FACE_SIZE
    linear, offset = scale * matrices[:, :, :2], scale * matrices[:, :, 2] + (scale - 1) / 2
    row, column = jnp.mgrid[:size, :size]
    target = jnp.stack([column.ravel(), row.ravel()]).astype(jnp.float32)
    source = _inverse(linear) @ (target - offset[:, :, None])
    at = source[:, ::-1].reshape(-1, 2, size, size)

    def sampled(face: jax.Array, place: jax.Array) -> jax.Array:
        # "mirror" repeats no border pixel, as OpenCV's BORDER_REFLECT_101.
        return jax.scipy.ndimage.map_coordinates(face, list(place), order=1, mode="mirror")

    return jnp.round(jax.vmap(sampled)(faces, at))


def _inverse(matrix: jax.Array) -> jax.Array:
    a, b, c, d = (matrix[:, row, column] for row in range(2) for column in range(2))
    turned = jnp.stack([jnp.stack([d, -b], axis=-1), jnp.stack([-c, a], axis=-1)], axis=1)
    return turned / (a * d - b * c)[:, None, None]


def _symmetric(key: jax.Array, shape: tuple[int, ...], most: float) -> jax.Array:
    return jax.random.uniform(key, shape, minval=-most, maxval=most)


def _erased(key: jax.Array, faces: jax.Array, *, config: AugmentConfig) -> jax.Array:
    """The faces with a random rectangle of noise in some of them."""
    count, side, _ = faces.shape
    chosen_key, area_key, aspect_key, corner_key, noise_key = jax.random.split(key, 5)
    chosen = jax.random.bernoulli(chosen_key, config.erase_probability, (count,))
    most = max(config.erase_area, 0.02)
    area = jax.random.uniform(area_key, (count,), minval=0.02, maxval=most) * side**2
    aspect = jnp.exp(_symmetric(aspect_key, (count,), math.log(3)))
    heights = jnp.minimum(jnp.round(jnp.sqrt(area * aspect)), side)
    widths = jnp.minimum(jnp.round(jnp.sqrt(area / aspect)), side)
    corner = jax.random.uniform(corner_key, (count, 2))
    rows = _between(jnp.floor(corner[:, 0] * (side - heights + 1)), heights, side=side)
    columns = _between(jnp.floor(corner[:, 1] * (side - widths + 1)), widths, side=side)
    inside = chosen[:, None, None] & rows[:, :, None] & columns[:, None, :]
    noise = jax.random.randint(noise_key, faces.shape, 0, 256).astype(jnp.float32)
    return jnp.where(inside, noise, faces)


def _between(first: jax.Array, count: jax.Array, *, side: int) -> jax.Array:
    at = jnp.arange(side)
    return (at >= first[:, None]) & (at < (first + count)[:, None])
