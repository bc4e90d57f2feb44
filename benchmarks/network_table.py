"""The networks' structure and size, read from their code, and their table in docs/models.md."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import numpy as np
from markdown_tables import table

from fer_jax.faces.preprocess import FACE_SIZE
from fer_jax.models import MODELS, build
from fer_jax.models.interception import intercepted
from fer_jax.models.resnet import ResNet

_FACE = jax.ShapeDtypeStruct((1, FACE_SIZE, FACE_SIZE, 1), np.float32)


class NetworkSize(NamedTuple):
    """A network's size.

    Attributes:
        parameters: numbers that training changes.
        multiplications: of weights and activations for one face, in convolutions and dense layers as
            defined; inference on a CPU does fewer, by Winograd's algorithm.
    """

    parameters: int
    multiplications: int


def network_size(name: str) -> NetworkSize:
    """Returns the size of the network registered as `name`; computes only shapes."""
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


def networks() -> str:
    """Returns the table, one row for each network."""
    rows = []
    for name in MODELS:
        size = network_size(name)
        millions = f"{size.multiplications / 1e6:,.0f} million"
        rows.append([f"`{name}`", _structure(build(name)), f"{size.parameters:,}", millions])
    head = ["network", "structure", "parameters", "multiplications per face"]
    return table(head, rows, left=(0, 1))


def _structure(model: nn.Module) -> str:
    if not isinstance(model, ResNet):
        return "four convolutions, each with pooling; two dense layers"
    stem = "2 x 2 pixels folded into channels; " if model.space_to_depth else ""
    widths, blocks = (_listed(each) for each in (model.widths, model.blocks))
    pairs = " in mirrored pairs" if model.mirrored else ""
    return f"{stem}stages of {widths} channels{pairs} with {blocks} residual blocks"


def _listed(numbers: tuple[int, ...]) -> str:
    *first, last = map(str, numbers)
    return f"{', '.join(first)} and {last}"
