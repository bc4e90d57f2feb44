"""`data.degradations` for batches on the device: the same kinds, with amounts of the same distributions.

Blur and resizing are products with matrices, which accelerators do best. Faces are float32
[B, 48, 48] of whole grey levels.
"""

from __future__ import annotations

import functools

import cv2
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Float32, Int, Key

from fer_jax.data.degradations import LIKELY
from fer_jax.faces.preprocess import FACE_SIZE

Batch = Float32[jax.Array, "batch 48 48"]
Amounts = Float[jax.Array, " batch"]

_SMALLEST, _LARGEST = 16, 39  # sides of shrunk faces, in pixels
_BLOCK = 8  # pixels a side of JPEG's blocks

# Quantisation of brightness (ITU-T T.81, table K.1).
_QUANTISATION = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    np.float32,
)


def random_degradation(key: Key[jax.Array, ""], faces: Batch) -> Batch:
    """Returns the faces after some of the kinds, each with a random amount, from light to file."""
    for kind in (_shadow, _exposure, _contrast, _blur, _shrink, _noise, _jpeg):
        key, chosen_key, amount_key = jax.random.split(key, 3)
        chosen = jax.random.bernoulli(chosen_key, LIKELY, (len(faces), 1, 1))
        faces = jnp.where(chosen, kind(amount_key, faces), faces)
    return faces


def exposed(faces: Batch, factor: Amounts) -> Batch:
    """Returns faces with their light multiplied; values beyond white clip."""
    return _grey_levels(faces * _each(factor))


def contrasted(faces: Batch, factor: Amounts) -> Batch:
    """Returns faces with their contrast about mid grey multiplied."""
    return _grey_levels(127.5 + (faces - 127.5) * _each(factor))


def shadowed(faces: Batch, angle: Amounts, light: Amounts) -> Batch:
    """Returns faces with one half in shadow; see `data.degradations.shadowed`."""
    at = (jnp.arange(FACE_SIZE) + 0.5) / FACE_SIZE - 0.5
    across = at[None, None, :] * _each(jnp.cos(angle)) + at[None, :, None] * _each(jnp.sin(angle))
    share = jnp.clip(0.5 + across / 0.2, 0, 1)
    return _grey_levels(faces * (_each(light) + (1 - _each(light)) * share))


def blurred(faces: Batch, sigma: Amounts) -> Batch:
    """Returns faces blurred by a Gaussian; `sigma` in pixels, at most 2."""
    at = jnp.arange(FACE_SIZE)
    radius = jnp.round(3 * sigma)  # as OpenCV has it for grey levels
    widest = jnp.arange(-6, 7)
    weight = jnp.exp(-(widest**2) / (2 * sigma[:, None] ** 2))
    weight = jnp.where(jnp.abs(widest) <= radius[:, None], weight, 0)
    weight = weight / weight.sum(axis=1, keepdims=True)
    # The mirrored border is part of the matrix: a pixel outside is the one inside that it mirrors.
    source = jnp.abs(at[:, None] + widest)
    source = jnp.where(source > FACE_SIZE - 1, 2 * (FACE_SIZE - 1) - source, source)
    taken = jax.nn.one_hot(source, FACE_SIZE, dtype=jnp.float32)
    return _grey_levels(_both_ways(jnp.einsum("bk,ikj->bij", weight, taken), faces))


def shrunk(faces: Batch, side: Int[jax.Array, " batch"]) -> Batch:
    """Returns faces reduced to `side` pixels, 16 to 39, and enlarged again."""
    down, up = (jnp.asarray(table)[side - _SMALLEST] for table in _resizing())
    return _grey_levels(_both_ways(up, _grey_levels(_both_ways(down, faces))))


def noisy(key: Key[jax.Array, ""], faces: Batch, sigma: Amounts) -> Batch:
    """Returns faces with normal noise added to each pixel; `sigma` in grey levels."""
    return _grey_levels(faces + jax.random.normal(key, faces.shape) * _each(sigma))


def compressed(faces: Batch, quality: Int[jax.Array, " batch"]) -> Batch:
    """Returns faces after JPEG of this quality, 1 to 100."""
    scale = jnp.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    table = jnp.floor((jnp.asarray(_QUANTISATION) * _each(scale) + 50) / 100)
    steps = jnp.clip(table, 1, 255)[:, None, None]
    blocks = FACE_SIZE // _BLOCK
    parts = faces.reshape(-1, blocks, _BLOCK, blocks, _BLOCK).swapaxes(2, 3)
    cosines = _cosines()
    waves = jnp.einsum("ui,bxyij,vj->bxyuv", cosines, parts - 128, cosines, precision="highest")
    kept = jnp.round(waves / steps) * steps
    parts = jnp.einsum("ui,bxyuv,vj->bxyij", cosines, kept, cosines, precision="highest") + 128
    return _grey_levels(parts.swapaxes(2, 3).reshape(faces.shape))


def _shadow(key: jax.Array, faces: Batch) -> Batch:
    angle_key, light_key = jax.random.split(key)
    angle = _uniform(angle_key, faces, 0, 2 * np.pi)
    return shadowed(faces, angle, _uniform(light_key, faces, 0.2, 0.7))


def _exposure(key: jax.Array, faces: Batch) -> Batch:
    return exposed(faces, 2 ** _uniform(key, faces, -1, 1))


def _contrast(key: jax.Array, faces: Batch) -> Batch:
    return contrasted(faces, 2 ** _uniform(key, faces, -1, 0.7))


def _blur(key: jax.Array, faces: Batch) -> Batch:
    return blurred(faces, _uniform(key, faces, 0.4, 1.8))


def _shrink(key: jax.Array, faces: Batch) -> Batch:
    return shrunk(faces, jax.random.randint(key, (len(faces),), _SMALLEST, _LARGEST + 1))


def _noise(key: jax.Array, faces: Batch) -> Batch:
    sigma_key, noise_key = jax.random.split(key)
    return noisy(noise_key, faces, _uniform(sigma_key, faces, 2, 14))


def _jpeg(key: jax.Array, faces: Batch) -> Batch:
    return compressed(faces, jax.random.randint(key, (len(faces),), 15, 80))


def _uniform(key: jax.Array, faces: Batch, low: float, high: float) -> Amounts:
    return jax.random.uniform(key, (len(faces),), minval=low, maxval=high)


def _each(amount: jax.Array) -> jax.Array:
    return amount[:, None, None]


def _grey_levels(faces: jax.Array) -> jax.Array:
    return jnp.clip(jnp.round(faces), 0, 255)


def _both_ways(matrix: jax.Array, faces: jax.Array) -> jax.Array:
    """`matrix`, [B, out, in], along columns and along rows."""
    return jnp.einsum("bij,bjk,blk->bil", matrix, faces, matrix, precision="highest")


@functools.cache
def _resizing() -> tuple[np.ndarray, np.ndarray]:
    """Matrices from 48 pixels to each side and back, padded by zeros: [24, 39, 48] and [24, 48, 39]."""
    sides = range(_SMALLEST, _LARGEST + 1)
    down = np.zeros((len(sides), _LARGEST, FACE_SIZE), np.float32)
    up = np.zeros((len(sides), FACE_SIZE, _LARGEST), np.float32)
    for k, side in enumerate(sides):
        down[k, :side] = _resized_rows(np.eye(FACE_SIZE), side, cv2.INTER_AREA)
        up[k, :, :side] = _resized_rows(np.eye(side), FACE_SIZE, cv2.INTER_CUBIC)
    return down, up


def _resized_rows(rows: np.ndarray, count: int, how: int) -> np.ndarray:
    return cv2.resize(rows.astype(np.float32), (rows.shape[1], count), interpolation=how)


@functools.cache
def _cosines() -> np.ndarray:
    """The orthonormal DCT of 8 values, [8 waves, 8 places]."""
    wave, place = np.ogrid[:_BLOCK, :_BLOCK]
    cosines = np.sqrt(2 / _BLOCK) * np.cos((2 * place + 1) * wave * np.pi / (2 * _BLOCK))
    cosines[0] /= np.sqrt(2)
    return cosines.astype(np.float32)
