"""Array shapes in annotations are checked in every call that a test makes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import TypeCheckError

from fer_jax import models
from fer_jax.evaluation.metrics import Sums, report
from fer_jax.training import losses


def test_arrays_of_another_shape_or_type_are_refused():
    with pytest.raises(TypeCheckError, match="labels"):
        report(np.full((3, 7), 1 / 7), np.zeros(4, np.int32))
    with pytest.raises(TypeCheckError, match="target"):
        losses.cross_entropy(jnp.zeros((3, 7)), jnp.zeros((3, 8)))


def test_traced_calls_are_checked_too():
    def add(label):
        loss, weight = jnp.zeros(2), jnp.ones(2)
        return Sums.zero().add(loss=loss, logits=jnp.zeros((2, 7)), label=label, weight=weight)

    jax.eval_shape(add, jnp.zeros(2, jnp.int32))
    with pytest.raises(TypeCheckError, match="label"):
        jax.eval_shape(add, jnp.zeros(3, jnp.int32))


def test_a_network_gives_seven_logits_for_faces_of_one_channel():
    network = models.build("resnet_small")
    with pytest.raises(TypeCheckError, match="x"):
        jax.eval_shape(
            lambda faces: network.init(jax.random.key(0), faces, train=False),
            jnp.zeros((1, 48, 48, 3)),
        )
