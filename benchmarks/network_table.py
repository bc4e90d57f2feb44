"""The networks' sizes, read off their code."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import numpy as np

from fer_jax.faces.preprocess import FACE_SIZE
from fer_jax.models import build
from fer_jax.models.interception import intercepted

_FACE = jax.ShapeDtypeStruct((1, FACE_SIZE, FACE_SIZE, 1), np.float32)


class NetworkSize(NamedTuple):
    """What a network takes.

    Attributes:
        parameters: that training changes.
        multiplications: of weights and activations for one face, in convolutions and dense layers as
            they are defined; inference on a CPU does fewer, by Winograd's algorithm.
    """

    parameters: int
    multiplications: int


def network_size(name: str) -> NetworkSize:
    """Returns what the network registered as `name` takes; nothing is computed but shapes."""
    model, multiplications = build(name), list[int]()

    def count(layer: nn.Module, x: jax.Array, compute: Callable[[], jax.Array]) -> jax.Array:
        out = compute()
        if isinstance(layer, nn.Conv | nn.Dense):
            kernel = layer.get_variable("params", "kernel")
            multiplications.append(math.prod(out.shape[:-1]) * math.prod(kernel.shape))
        return out

    with intercepted(count):
        variables = jax.eval_shape(lambda x: model.init(jax.random.key(0), x, train=False), _FACE)
    parameters = sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
    return NetworkSize(parameters, sum(multiplications))
