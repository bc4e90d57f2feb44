"""A network with added blocks computes the same as before, and the new blocks can learn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fer_jax import models
from fer_jax.models.deepening import deepen
from tests.small_checkpoint import random_variables


@pytest.fixture(scope="module")
def small_and_deep():
    return models.build("resnet_small"), models.build("resnet_deep")


@pytest.mark.long
def test_a_deepened_network_gives_the_same_logits(small_and_deep):
    small, deep = small_and_deep
    variables = random_variables(small)
    deepened = deepen(variables, small, deep, key=jax.random.key(1))
    faces = jax.random.normal(jax.random.key(2), (3, 48, 48, 1))
    np.testing.assert_allclose(
        deep.apply(deepened, faces, train=False),
        small.apply(variables, faces, train=False),
        atol=1e-5,
    )
    like = jax.eval_shape(lambda: deep.init(jax.random.key(0), faces, train=False))
    assert jax.tree.map(jnp.shape, deepened) == jax.tree.map(jnp.shape, dict(like))


@pytest.mark.long
def test_every_added_block_has_a_gradient(small_and_deep):
    small, deep = small_and_deep
    deepened = deepen(random_variables(small), small, deep, key=jax.random.key(1))
    faces = jax.random.normal(jax.random.key(2), (3, 48, 48, 1))

    def total(params):
        return deep.apply({**deepened, "params": params}, faces, train=False).sum()

    gradient = jax.grad(total)(deepened["params"])
    for block in ("ResidualBlock_2", "ResidualBlock_5"):
        assert np.any(gradient[block]["BatchNorm_1"]["scale"])


@pytest.mark.parametrize(
    ("start", "goal"),
    [
        ("resnet_deep", "resnet_small"),
        ("resnet_small", "resnet_medium"),
        ("resnet_small", "seed_cnn"),
    ],
)
def test_only_a_network_with_more_blocks_can_start_from_another(start, goal):
    shallow, deep = models.build(start), models.build(goal)
    assert deepen(random_variables(shallow), shallow, deep, key=jax.random.key(1)) is None
