"""Winograd's convolution against the direct one: alone and in a whole network."""

import functools
import re

import jax
import numpy as np
import pytest

from fer_jax import models
from fer_jax.inference.network import inference_function
from fer_jax.models import winograd
from fer_jax.models.folding import apply_folded, fold_batch_norm, with_winograd
from fer_jax.saved_model import load_model
from tests.small_checkpoint import random_variables, write_workdir

EXAMPLE = jax.ShapeDtypeStruct((1, 48, 48, 1), np.float32)


@pytest.mark.parametrize("shape", [(1, 6, 6, 16), (3, 5, 7, 24), (2, 1, 2, 16)])
def test_winograd_matches_the_direct_convolution(shape):
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape).astype(np.float32)
    kernel = rng.normal(size=(3, 3, shape[-1], 20)).astype(np.float32)
    expected = jax.lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    places = winograd.transform_kernel(kernel)
    found = winograd.convolve(x, places)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_winograd_is_used_only_for_dense_3x3_kernels_of_many_channels():
    assert winograd.suits((3, 3, 48, 48), (1, 1))
    assert winograd.suits((3, 3, 48, 48), None)
    assert not winograd.suits((3, 3, 48, 48), (2, 2))
    assert not winograd.suits((5, 5, 48, 48), (1, 1))
    assert not winograd.suits((3, 3, 4, 48), (1, 1))


def test_a_network_gives_the_same_logits_with_winograd():
    model = models.build("resnet_small")
    folded = fold_batch_norm(model, random_variables(model), example=EXAMPLE)
    transformed = with_winograd(model, folded, example=EXAMPLE)
    faces = np.random.default_rng(1).normal(size=(3, 48, 48, 1)).astype(np.float32)
    apply = jax.jit(functools.partial(apply_folded, model))
    expected, found = apply(folded, faces), apply(transformed, faces)
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_on_a_cpu_batches_run_in_chunks_that_suit_it(tmp_path, monkeypatch):
    monkeypatch.setenv("NPROC", "1")
    saved = load_model(write_workdir(tmp_path))
    plain, plain_variables = inference_function(saved)
    pieces, variables = inference_function(saved, devices=jax.devices("cpu")[:1])
    piece = winograd.piece(1)
    faces = np.random.default_rng(1).integers(0, 256, (2 * piece + 1, 48, 48), np.uint8)
    for batch in (piece, piece + 1, 2 * piece + 1):
        expected = np.asarray(jax.jit(plain)(plain_variables, faces[:batch]))
        found = np.asarray(jax.jit(pieces)(variables, faces[:batch]))
        np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
        program = str(jax.make_jaxpr(pieces)(variables, faces[:batch]))
        convolved = re.findall(r"f32\[(\d+),[\d,]+\] = conv_general_dilated", program)
        assert max(map(int, convolved)) == min(batch, piece)


def test_a_chunk_keeps_every_thread_busy_and_divides_batches():
    assert winograd.piece(1) == winograd.piece(2) == winograd.piece(3) == 8
    assert winograd.piece(6) == 16
    assert winograd.piece(16) == 64


def test_a_network_without_a_suitable_convolution_is_left_unchanged():
    model = models.build("seed_cnn")
    assert with_winograd(model, random_variables(model), example=EXAMPLE) is None
