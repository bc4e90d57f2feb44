"""Weights that give a face and its mirror image the same logits.

Channels come in pairs: what the first half of a layer's channels finds in a face, the second half finds
in its mirror image (Cohen and Welling, 2016, arXiv:1602.07576). So kernels come in mirrored pairs, too:
half of the weights are free, and the network computes as much as any other of its shape. All other
operations have to treat left and right alike; so a mirrored `ResNet` pools where others stride.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from fer_jax.models.resnet import ResNet

Tree = TypeVar("Tree")
Array = jax.Array | np.ndarray

_STEM = "Conv_0"  # reads the four pixels of a patch, row by row
_EXCHANGED = np.array([1, 0, 3, 2])


def tied(model: nn.Module, tree: Tree) -> Tree:
    """Returns the nearest tree whose pairs mirror each other; for other networks, the tree as it is.

    Args:
        model: the network.
        tree: its parameters, gradients or batch norm statistics, arrays by layer as Flax names them.
    """
    if not (isinstance(model, ResNet) and model.mirrored):
        return tree
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: (leaf + _mirrored([key.key for key in path], leaf)) / 2, tree
    )


def _mirrored(path: Sequence[str], leaf: Array) -> jax.Array:
    """Returns a layer's array for mirrored inputs and outputs.

    Args:
        path: the layer's names, then the array's.
        leaf: a kernel of a convolution [side, side, in, out] or of the last layer [in, 7], or a vector.
    """
    layer, name = path[-2:]
    if layer.startswith("Dense"):  # the logits are no pairs
        return _swapped(leaf, 0) if name == "kernel" else jnp.asarray(leaf)
    if name != "kernel":
        return _swapped(leaf, 0)
    outputs = _swapped(leaf[:, ::-1], 3)
    return outputs[:, :, _EXCHANGED] if path[:-1] == [_STEM] else _swapped(outputs, 2)


def _swapped(leaf: Array, axis: int) -> jax.Array:
    """Returns the array with the halves of an axis exchanged."""
    return jnp.roll(leaf, leaf.shape[axis] // 2, axis)
