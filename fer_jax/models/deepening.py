"""Adds residual blocks to a trained network without changing what it computes.

A fresh block's last norm has a zero scale, so the block passes on its input. A network that gained such
blocks gives the logits it gave before, and training starts from there with more capacity (Chen et al.,
2016, arXiv:1511.05641).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from fer_jax.faces.preprocess import FACE_SIZE
from fer_jax.models.resnet import ResNet


def deepen(
    variables: Mapping[str, Mapping[str, Any]],
    shallow: nn.Module,
    deep: nn.Module,
    *,
    key: jax.Array,
) -> dict[str, dict[str, Any]] | None:
    """Returns variables of `deep` that compute what `variables` compute in `shallow`.

    Each stage keeps its trained blocks; the further ones follow them. Returns None unless `deep` is
    `shallow` with more blocks in some stages.

    Args:
        variables: params and batch_stats of `shallow`, float32 arrays.
        shallow: the trained network.
        deep: the network to start.
        key: of the further blocks' random kernels.
    """
    if not (isinstance(shallow, ResNet) and isinstance(deep, ResNet)):
        return None
    alike = shallow.widths == deep.widths and shallow.space_to_depth == deep.space_to_depth
    if not alike or any(few > many for few, many in zip(shallow.blocks, deep.blocks, strict=True)):
        return None
    fresh = deep.init(key, jnp.zeros((1, FACE_SIZE, FACE_SIZE, 1)), train=False)
    moved = {_block(was): _block(now) for was, now in _moves(shallow.blocks, deep.blocks)}
    return {
        kind: {
            **fresh[kind],
            **{moved.get(name, name): layer for name, layer in variables[kind].items()},
        }
        for kind in fresh
    }


def _moves(few: tuple[int, ...], many: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """Yields the number of each trained block in the shallow and in the deep network."""
    firsts = zip(accumulate(few, initial=0), accumulate(many, initial=0), strict=True)
    for (was, now), count in zip(firsts, few, strict=False):  # the last sum starts no stage
        yield from zip(range(was, was + count), range(now, now + count), strict=True)


def _block(number: int) -> str:
    return f"ResidualBlock_{number}"
