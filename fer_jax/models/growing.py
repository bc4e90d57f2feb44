"""Adds channels and residual blocks to a trained network without changing what it computes.

A fresh block's last norm has a zero scale, so the block passes on its input. Fresh channels read all
others, but the kernels through which trained ones would read them are zero. A network that has grown so
gives the logits it gave before, and training starts from there with more capacity (after Chen et al.,
2016, arXiv:1511.05641).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from fer_jax.faces.preprocess import FACE_SIZE
from fer_jax.models.resnet import ResNet


def grow(
    variables: Mapping[str, Mapping[str, Any]],
    small: nn.Module,
    large: nn.Module,
    *,
    key: jax.Array,
) -> dict[str, dict[str, Any]] | None:
    """Returns variables of `large` that compute what `variables` compute in `small`.

    Each stage keeps its trained blocks and channels; the further ones follow them. Returns None unless
    `large` is `small` with more blocks in some stages or, if it is not mirrored, more channels.

    Args:
        variables: params and batch_stats of `small`, float32 arrays.
        small: the trained network.
        large: the network to start.
        key: of the random kernels that are added.
    """
    if not (isinstance(small, ResNet) and isinstance(large, ResNet) and _holds(large, small)):
        return None
    example = jnp.zeros((1, FACE_SIZE, FACE_SIZE, 1))
    fresh = jax.jit(functools.partial(large.init, train=False))(key, example)
    moved = {_block(was): _block(now) for was, now in _moves(small.blocks, large.blocks)}
    grown = {kind: dict(layers) for kind, layers in fresh.items()}
    for kind, layers in variables.items():
        for name, layer in layers.items():
            place = moved.get(name, name)
            grown[kind][place] = jax.tree.map(_inside, layer, fresh[kind][place])
    return grown


def _holds(large: ResNet, small: ResNet) -> bool:
    """Returns whether `large` has the structure of `small` and at least its blocks and channels."""
    if large.space_to_depth != small.space_to_depth or len(large.widths) != len(small.widths):
        return False
    if large.mirrored != small.mirrored or (large.mirrored and large.widths != small.widths):
        return False  # further channels would change which ones are pairs
    few, many = (*small.widths, *small.blocks), (*large.widths, *large.blocks)
    return all(before <= after for before, after in zip(few, many, strict=True))


def _inside(trained: np.ndarray, fresh: jax.Array) -> np.ndarray:
    """Returns `fresh` with `trained` in its first channels, which do not read the fresh ones.

    Both are [..., in, out] kernels or [out] vectors with the same leading axes.
    """
    grown = np.array(fresh)
    if trained.ndim == 1:
        grown[: len(trained)] = trained
    else:
        read, written = trained.shape[-2:]
        grown[..., read:, :written] = 0.0
        grown[..., :read, :written] = trained
    return grown


def _moves(few: tuple[int, ...], many: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """Yields the number of each trained block in the small and in the large network."""
    firsts = zip(accumulate(few, initial=0), accumulate(many, initial=0), strict=True)
    for (was, now), count in zip(firsts, few, strict=False):  # the last sum starts no stage
        yield from zip(range(was, was + count), range(now, now + count), strict=True)


def _block(number: int) -> str:
    return f"ResidualBlock_{number}"
