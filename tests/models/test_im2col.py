"""Convolutions as matrix products against direct ones: results, gradients and whole networks."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.flatten_util import ravel_pytree

from fer_jax import models
from fer_jax.config import Config, ModelConfig
from fer_jax.data.faces import Faces
from fer_jax.machine import sharding
from fer_jax.models import im2col
from fer_jax.models.standardise import standardise
from fer_jax.training.program import assemble

# From rounding the factors to bfloat16, which keeps 8 bits.
CLOSE = 0.01

direct = functools.partial(
    lax.conv_general_dilated, dimension_numbers=("NHWC", "HWIO", "NHWC"), padding="SAME"
)
by_products = functools.partial(
    im2col.convolve, dimension_numbers=("NHWC", "HWIO", "NHWC"), padding="SAME"
)


def assert_close(found: jax.Array, expected: jax.Array) -> None:
    found, expected = np.asarray(found, np.float32), np.asarray(expected, np.float32)
    np.testing.assert_allclose(found, expected, rtol=0, atol=CLOSE * np.abs(expected).max())


@pytest.mark.parametrize(
    ("size", "side", "stride"),
    [
        ((8, 8), 3, 1),
        ((7, 5), 3, 1),
        ((6, 6), 5, 1),
        ((4, 6), 1, 1),
        ((8, 6), 3, 2),
        ((1, 1), 3, 1),
    ],
)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_results_and_gradients_match_the_direct_convolution(size, side, stride, dtype):
    rng = np.random.default_rng(0)
    x, kernel = (
        jnp.asarray(rng.normal(size=shape), dtype)
        for shape in ((5, *size, 24), (side, side, 24, 40))
    )
    assert im2col.suits(x.shape, kernel.shape, (stride, stride), "SAME")

    @functools.partial(jax.jit, static_argnums=0)
    def all_of(convolution, x, kernel, dy):
        y, pull = jax.vjp(lambda *args: convolution(*args, (stride, stride)), x, kernel)
        return y, *pull(dy.astype(y.dtype))

    dy = rng.normal(size=direct(x, kernel, (stride, stride)).shape)
    found = all_of(by_products, x, kernel, dy)
    expected = all_of(direct, x.astype(jnp.float32), kernel.astype(jnp.float32), dy)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == dtype
        assert_close(ours, theirs)


@pytest.mark.parametrize(
    ("x", "kernel", "stride"),
    [
        ((2, 8, 8, 4), (3, 3, 4, 40), 1),  # few channels
        ((2, 7, 7, 24), (3, 3, 24, 40), 2),  # leftover pixels
        ((2, 8, 8, 24), (4, 4, 24, 40), 1),
    ],
)
def test_unsuitable_convolutions_are_passed_on(x, kernel, stride):
    assert not im2col.suits(x, kernel, (stride, stride), "SAME")
    rng = np.random.default_rng(0)
    x, kernel = (jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in (x, kernel))
    found = by_products(x, kernel, (stride, stride))
    np.testing.assert_array_equal(found, direct(x, kernel, (stride, stride)))


def test_a_kernel_of_nan_gives_nan():
    x, kernel = jnp.ones((1, 4, 4, 16)), jnp.full((3, 3, 16, 16), jnp.nan)
    assert np.isnan(by_products(x, kernel, (1, 1))).all()


def test_a_network_has_the_same_gradient_with_im2col():
    name = "resnet_small"
    x = standardise(np.random.default_rng(0).integers(0, 256, (8, 16, 16), np.uint8))
    init = functools.partial(models.build(name).init, train=False)
    variables = jax.jit(init)(jax.random.key(0), x)

    def gradient(*, im2col: bool) -> np.ndarray:
        model = models.build(name, dropout=0.0, im2col=im2col)

        def loss(params):
            taken = {**variables, "params": params}
            logits, _ = model.apply(taken, x, train=True, mutable=["batch_stats"])
            return -jax.nn.log_softmax(logits)[:, 0].mean()

        return ravel_pytree(jax.jit(jax.grad(loss))(variables["params"]))[0]

    found, expected = gradient(im2col=True), gradient(im2col=False)
    assert np.linalg.norm(found - expected) < 0.1 * np.linalg.norm(expected)
    assert not np.array_equal(found, expected)


@pytest.mark.parametrize(
    ("dtype", "devices", "expected"),
    [("bfloat16", 1, True), ("float32", 1, False), ("bfloat16", 2, False)],
)
def test_training_uses_im2col_in_bfloat16_on_one_cpu(monkeypatch, dtype, devices, expected):
    asked = []

    def build(*args, im2col: bool, **options):
        asked.append(im2col)
        return build_network(*args, **options)

    build_network = models.build
    monkeypatch.setattr(models, "build", build)
    config = Config(epochs=1, batch_size=16, model=ModelConfig(name="seed_cnn", dtype=dtype))
    faces = Faces(np.zeros((16, 48, 48), np.uint8), np.zeros(16, np.int32), names=("",) * 16)
    mesh = sharding.data_mesh(devices=devices, batch_size=16)
    assemble(config, train=faces, validation=faces, mesh=mesh)
    assert set(asked) == {expected}
