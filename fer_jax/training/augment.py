"""Augments training faces on the host: bad cameras, warps, mirroring, gamma and random erasing.

Host threads take 30 microseconds per face; inside the jitted step on a CPU the same work costs as much
as the network. Every draw comes from the given generator, so a step's faces are a function of the step.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from fer_jax.config import AugmentConfig
from fer_jax.data.degradations import random_degradation
from fer_jax.faces.preprocess import FACE_SIZE

_CENTRE = (FACE_SIZE - 1) / 2
_LEVELS = np.arange(256, dtype=np.float64) / 255
_ALL = slice(None)


def augment(
    faces: np.ndarray,
    generator: np.random.Generator,
    *,
    config: AugmentConfig,
    size: int = FACE_SIZE,
    rows: slice = _ALL,
) -> np.ndarray:
    """Returns augmented copies of `faces`, uint8 [B, 48, 48], as uint8 [B, size, size].

    Args:
        faces: of a whole batch.
        generator: of the step.
        config: what is drawn.
        size: side of the result in pixels.
        rows: of the batch to return; they come out the same whichever others do.
    """
    matrices = _shrunk(warp_matrices(len(faces), generator, config=config), size)
    tables = _gamma_tables(len(faces), generator, config=config)
    cameras = generator.random(len(faces))
    wanted = range(len(faces))[rows]
    varied = np.empty((len(wanted), size, size), np.uint8)
    for out, k in zip(varied, wanted, strict=True):
        face = faces[k]
        if cameras[k] < config.camera:
            face = random_degradation(face, _own_generator(cameras[k]))
        cv2.warpAffine(
            face,
            matrices[k],
            (size, size),
            dst=out,
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT_101,
        )
        cv2.LUT(out, tables[k], dst=out)
    _erase(varied, generator, config=config, rows=wanted, count=len(faces))
    return varied


def _own_generator(draw: float) -> np.random.Generator:
    """The generator of one face's bad camera: how often it draws must not move another face's."""
    return np.random.Generator(np.random.Philox(key=int(draw * 2**53)))


def warp_matrices(
    count: int, generator: np.random.Generator, *, config: AugmentConfig
) -> np.ndarray:
    """Random affine maps about the image's centre, float64 [count, 2, 3], in pixels."""
    angle = np.radians(_symmetric(generator, count, config.rotate_degrees))
    zoom = 1 + _symmetric(generator, count, config.scale)
    shear = _symmetric(generator, count, config.shear)
    shift = FACE_SIZE * _symmetric(generator, (count, 2), config.translate)
    mirror = np.where(generator.random(count) < 0.5 * config.flip, -1.0, 1.0)
    cos, sin = zoom * np.cos(angle), zoom * np.sin(angle)
    linear = np.empty((count, 2, 2))
    linear[:, 0, 0], linear[:, 0, 1] = cos * mirror, shear * cos - sin
    linear[:, 1, 0], linear[:, 1, 1] = sin * mirror, shear * sin + cos
    centre = np.full(2, _CENTRE)
    offset = centre - linear @ centre + shift
    return np.concatenate([linear, offset[:, :, None]], axis=2)


def _shrunk(matrices: np.ndarray, size: int) -> np.ndarray:
    """Returns the same maps for an image of another size, with pixel centres at half a pixel."""
    scale = size / FACE_SIZE
    return scale * matrices + np.array([0, 0, (scale - 1) / 2])


def _symmetric(
    generator: np.random.Generator, shape: int | tuple[int, ...], most: float
) -> np.ndarray:
    return generator.uniform(-1.0, 1.0, shape) * most


def _gamma_tables(
    count: int, generator: np.random.Generator, *, config: AugmentConfig
) -> np.ndarray:
    """Tables grey level -> grey level, uint8 [count, 256]. Linear changes the network cannot see:
    each face is standardised afterwards."""
    exponent = np.exp(_symmetric(generator, count, config.gamma))
    return np.rint(255 * _LEVELS[None, :] ** exponent[:, None]).astype(np.uint8)


def _erase(
    faces: np.ndarray,
    generator: np.random.Generator,
    *,
    config: AugmentConfig,
    rows: range,
    count: int,
) -> None:
    """Fills a random rectangle of some of the faces, `rows` of `count`, with noise, in place."""
    chosen = generator.random(count) < config.erase_probability
    side = faces.shape[1]
    area = generator.uniform(0.02, max(config.erase_area, 0.02), count) * side**2
    aspect = np.exp(_symmetric(generator, count, math.log(3)))
    corner = generator.random((count, 2))
    noise = generator.integers(0, 256, (side, side), dtype=np.uint8)
    heights = np.minimum(np.rint(np.sqrt(area * aspect)), side).astype(int)
    widths = np.minimum(np.rint(np.sqrt(area / aspect)), side).astype(int)
    tops = (corner[:, 0] * (side - heights + 1)).astype(int)
    lefts = (corner[:, 1] * (side - widths + 1)).astype(int)
    for face, k in zip(faces, rows, strict=True):
        if chosen[k]:
            top, left, height, width = tops[k], lefts[k], heights[k], widths[k]
            face[top : top + height, left : left + width] = noise[:height, :width]
