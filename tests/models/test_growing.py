"""A network with added blocks and channels computes the same as before, and what was added can learn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fer_jax import models
from fer_jax.models.growing import grow
from fer_jax.models.resnet import ResNet
from tests.small_checkpoint import random_variables

SMALL = ResNet(widths=(4, 6, 8), blocks=(1, 1, 2))
DEEPER = ResNet(widths=(4, 6, 8), blocks=(1, 2, 3))
WIDER = ResNet(widths=(5, 9, 8), blocks=(1, 1, 2))
MIRRORED = ResNet(widths=(4, 6, 8), blocks=(1, 1, 2), mirrored=True)
LARGER = ResNet(widths=(6, 8, 12), blocks=(2, 2, 3))


@pytest.fixture(scope="module")
def faces():
    return jax.random.normal(jax.random.key(2), (3, 48, 48, 1))


def _logits(network, variables, faces):
    return jax.jit(lambda given: network.apply(given, faces, train=False))(variables)


@pytest.mark.parametrize("large", [DEEPER, WIDER, LARGER], ids=["deeper", "wider", "both"])
def test_a_grown_network_gives_the_same_logits(large, faces):
    variables = random_variables(SMALL)
    grown = grow(variables, SMALL, large, key=jax.random.key(1))
    np.testing.assert_allclose(
        _logits(large, grown, faces),
        _logits(SMALL, variables, faces),
        atol=1e-5,
    )
    like = jax.eval_shape(lambda: large.init(jax.random.key(0), faces, train=False))
    assert jax.tree.map(jnp.shape, grown) == jax.tree.map(jnp.shape, dict(like))


def test_every_added_block_and_channel_can_learn(faces):
    grown = grow(random_variables(SMALL), SMALL, LARGER, key=jax.random.key(1))

    def total(params):
        return LARGER.apply({**grown, "params": params}, faces, train=False).sum()

    gradient = jax.jit(jax.grad(total))(grown["params"])
    for block in ("ResidualBlock_1", "ResidualBlock_3", "ResidualBlock_6"):
        assert np.any(gradient[block]["BatchNorm_1"]["scale"])
    assert np.any(gradient["Dense_0"]["kernel"][8:])
    assert np.any(gradient["ResidualBlock_2"]["Conv_1"]["kernel"][:, :, 4:, :6])


@pytest.mark.parametrize(
    ("start", "goal"),
    [
        (DEEPER, SMALL),
        (WIDER, DEEPER),
        (SMALL, ResNet(widths=(4, 6, 8, 8), blocks=(1, 1, 2, 1))),
        (SMALL, ResNet(widths=(4, 6, 8), blocks=(1, 1, 2), space_to_depth=False)),
        (SMALL, models.build("seed_cnn")),
        (SMALL, MIRRORED),
        (MIRRORED, ResNet(widths=(6, 8, 12), blocks=(1, 1, 2), mirrored=True)),
    ],
)
def test_only_a_network_that_is_as_large_in_every_stage_can_start_from_another(start, goal):
    assert grow(random_variables(start), start, goal, key=jax.random.key(1)) is None
