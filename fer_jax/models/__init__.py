"""The networks by name. Each maps float32 [B, 48, 48, 1] to float32 logits [B, 7]."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from fer_jax.models.resnet import (
    resnet_deep,
    resnet_large,
    resnet_medium,
    resnet_mirrored,
    resnet_small,
    resnet_wide,
)
from fer_jax.models.seed_cnn import SeedCNN


@runtime_checkable
class Architecture(Protocol):
    """A family of networks that differ in what `build` takes."""

    def __call__(
        self,
        *,
        dropout: float = ...,
        momentum: float = ...,
        dtype: np.dtype = ...,
        im2col: bool = ...,
    ) -> nn.Module:
        """Returns a network; see `build`."""
        ...


MODELS: Mapping[str, Architecture] = {
    "seed_cnn": SeedCNN,
    "resnet_small": resnet_small,
    "resnet_deep": resnet_deep,
    "resnet_mirrored": resnet_mirrored,
    "resnet_medium": resnet_medium,
    "resnet_wide": resnet_wide,
    "resnet_large": resnet_large,
}


def build(
    name: str,
    *,
    dropout: float | None = None,
    momentum: float | None = None,
    dtype: str = "float32",
    im2col: bool = False,
) -> nn.Module:
    """Returns the network registered as `name`.

    Args:
        name: a key of `MODELS`.
        dropout: probability of dropping a feature in training; None keeps the network's own.
        momentum: share of batch norm's statistics that a training step keeps; None keeps the
            network's own.
        dtype: of the convolutions, "float32" or "bfloat16".
        im2col: convolve by products of bfloat16 matrices, see `models.im2col`.
    """
    options = {"dropout": dropout, "momentum": momentum}
    given = {key: value for key, value in options.items() if value is not None}
    return MODELS[name](dtype=jnp.dtype(dtype), im2col=im2col, **given)
