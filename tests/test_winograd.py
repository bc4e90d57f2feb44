"""Winograd's convolution against the direct one: alone, and in a whole network."""

import jax
import numpy as np
import pytest

from fer_jax import models
from fer_jax.models import winograd
from fer_jax.models.folding import apply_folded, fold_batch_norm, with_winograd
from tests.small_checkpoint import random_variables

EXAMPLE = jax.ShapeDtypeStruct((1, 48, 48, 1), np.float32)


@pytest.mark.parametrize("shape", [(1, 6, 6, 16), (3, 5, 7, 24), (2, 1, 2, 16)])
def test_it_convolves_as_the_direct_convolution_does(shape):
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape).astype(np.float32)
    kernel = rng.normal(size=(3, 3, shape[-1], 20)).astype(np.float32)
    expected = jax.lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    found = winograd.convolve(x, winograd.transform_kernel(kernel))
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_it_is_for_dense_3x3_kernels_of_many_channels_only():
    assert winograd.suits((3, 3, 48, 48), (1, 1))
    assert winograd.suits((3, 3, 48, 48), None)
    assert not winograd.suits((3, 3, 48, 48), (2, 2))
    assert not winograd.suits((5, 5, 48, 48), (1, 1))
    assert not winograd.suits((3, 3, 4, 48), (1, 1))


@pytest.mark.parametrize("name", ["resnet_small", "seed_cnn"])
def test_a_network_answers_the_same_with_it_at_every_batch_size(name):
    model = models.build(name)
    folded = fold_batch_norm(model, random_variables(model), example=EXAMPLE)
    transformed = with_winograd(model, folded, example=EXAMPLE)
    faces = np.random.default_rng(1).normal(size=(winograd.MAX_BATCH + 1, 48, 48, 1))
    faces = faces.astype(np.float32)
    for batch in (1, winograd.MAX_BATCH, winograd.MAX_BATCH + 1):
        expected = apply_folded(model, folded, faces[:batch])
        found = apply_folded(model, transformed, faces[:batch])
        np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_only_small_batches_multiply_by_places():
    model = models.build("resnet_small")
    folded = fold_batch_norm(model, random_variables(model), example=EXAMPLE)
    transformed = with_winograd(model, folded, example=EXAMPLE)

    def convolutions(batch):
        x = np.zeros((batch, 48, 48, 1), np.float32)
        return str(jax.make_jaxpr(lambda x: apply_folded(model, transformed, x))(x)).count(
            "conv_general_dilated["
        )

    # The stem's, two strided ones and the shortcuts' 1x1 stay direct; six others do not.
    assert convolutions(winograd.MAX_BATCH) == 5
    assert convolutions(winograd.MAX_BATCH + 1) == 11
