"""Batch norm folded into the kernels before it."""

import jax
import numpy as np

from fer_jax import models
from fer_jax.models.folding import apply_folded, fold_batch_norm
from tests.small_checkpoint import random_variables


def test_folding_leaves_no_norm_and_changes_no_logit():
    model = models.build("seed_cnn")  # norms after convolutions with a bias, and after dense layers
    variables = random_variables(model)
    x = np.random.default_rng(0).normal(size=(2, 48, 48, 1)).astype(np.float32)
    folded = fold_batch_norm(model, variables, example=jax.ShapeDtypeStruct(x.shape, x.dtype))
    assert folded["batch_stats"] == {}
    expected = jax.jit(lambda v, x: model.apply(v, x, train=False))(variables, x)
    found = jax.jit(lambda v, x: apply_folded(model, v, x))(folded, x)
    np.testing.assert_allclose(found, expected, atol=1e-5)
