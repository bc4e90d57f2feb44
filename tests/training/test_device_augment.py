"""Augmentation on the device against the host's: equal pixels for equal draws, and similar draws."""

from __future__ import annotations

import functools

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fer_jax.config import AugmentConfig
from fer_jax.data import degradations
from fer_jax.data.synthetic import load_synthetic
from fer_jax.training import augment as on_host
from fer_jax.training import device_augment, device_degradations

COUNT = 400
EVERYTHING = AugmentConfig(camera=0.5)


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    return load_synthetic(seed=0, counts={"train": COUNT}).splits["train"].images


def test_a_warp_moves_pixels_where_opencv_does(faces):
    some = faces[:20]
    matrices = on_host.warp_matrices(20, np.random.default_rng(0), config=EVERYTHING)
    warped = jax.jit(device_augment.warped, static_argnames="size")
    for size in (48, 32):
        shrunk = on_host._shrunk(matrices, size)
        expected = [
            cv2.warpAffine(face, matrix, (size, size), borderMode=cv2.BORDER_REFLECT_101)
            for face, matrix in zip(some, shrunk, strict=True)
        ]
        found = warped(some.astype(np.float32), matrices.astype(np.float32), size=size)
        difference = np.abs(np.asarray(found) - np.array(expected, np.float32))
        # OpenCV rounds positions to 1/32 pixel.
        assert difference.mean() < 0.4
        assert np.quantile(difference, 0.99) <= 1
        assert np.quantile(difference, 0.999) <= 2


@pytest.mark.parametrize(
    ("kind", "amounts", "most"),
    [
        ("exposed", [(0.5, 1.9)], 0),
        ("contrasted", [(0.5, 1.6)], 1),
        ("shadowed", [(0.0, 6.2), (0.2, 0.7)], 1),
        ("blurred", [(0.4, 1.8)], 1),
        ("shrunk", [(16, 39)], 1),
        ("compressed", [(15, 79)], 8),
    ],
)
def test_camera_degradations_match_the_hosts(faces, kind, amounts, most):
    some, draw = faces[:24], np.random.default_rng(1)
    whole = kind in ("shrunk", "compressed")
    each = [draw.integers(*r, 24) if whole else draw.uniform(*r, 24) for r in amounts]
    expected = [
        getattr(degradations, kind)(face, *(a.item() for a in row))
        for face, *row in zip(some, *each, strict=True)
    ]
    degraded = jax.jit(getattr(device_degradations, kind))
    found = degraded(some.astype(np.float32), *map(jnp.asarray, each))
    difference = np.abs(np.asarray(found) - np.array(expected, np.float32))
    assert np.quantile(difference, 0.999) <= most
    assert np.ptp(np.asarray(found)) > 50


def test_maps_have_the_hosts_moments():
    draw = functools.partial(device_augment.warp_matrices, count=20_000, config=EVERYTHING)
    found = jax.jit(draw)(jax.random.key(0))
    expected = on_host.warp_matrices(20_000, np.random.default_rng(0), config=EVERYTHING)
    for moment in (np.mean, np.std):
        np.testing.assert_allclose(moment(found, axis=0), moment(expected, axis=0), atol=0.7)
    np.testing.assert_allclose(
        np.std(found, axis=0), np.std(expected, axis=0), rtol=0.02, atol=1e-3
    )


@pytest.mark.parametrize("size", [48, 32])
def test_augmented_faces_are_distributed_as_on_the_host(faces, size):
    """Compares a face's statistics over many draws, at each decile."""
    many = np.tile(faces, (5, 1, 1))
    device = jax.jit(
        lambda key: device_augment.augment(key, jnp.asarray(many), config=EVERYTHING, size=size)
    )(jax.random.key(0))
    host = on_host.augment(many, np.random.default_rng(0), config=EVERYTHING, size=size)
    assert device.shape == host.shape
    assert device.dtype == host.dtype
    for statistic in (_brightness, _contrast, _sharpness, _sidedness):
        of_device, of_host = statistic(np.asarray(device)), statistic(host)
        gap = _largest_gap(of_device, of_host)
        # Two samples of n from one distribution are further apart once in 1000 times (Smirnov, 1948).
        assert gap < 1.95 * np.sqrt(2 / len(many)), (statistic.__name__, gap)


def _brightness(faces: np.ndarray) -> np.ndarray:
    return faces.mean(axis=(1, 2))


def _contrast(faces: np.ndarray) -> np.ndarray:
    return faces.std(axis=(1, 2))


def _sharpness(faces: np.ndarray) -> np.ndarray:
    return np.abs(np.diff(faces.astype(int), axis=2)).mean(axis=(1, 2))


def _sidedness(faces: np.ndarray) -> np.ndarray:
    half = faces.shape[2] // 2
    return faces[:, :, :half].mean(axis=(1, 2)) - faces[:, :, half:].mean(axis=(1, 2))


def _largest_gap(one: np.ndarray, other: np.ndarray) -> float:
    """Of the two empirical distributions."""
    at = np.concatenate([one, other])
    shares = (
        np.searchsorted(np.sort(sample), at, side="right") / len(sample) for sample in (one, other)
    )
    return float(np.abs(np.subtract(*shares)).max())
