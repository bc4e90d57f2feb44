"""`seed_cnn`: the four-convolution network that most FER2013 notebooks train, 4.5 M parameters."""

from __future__ import annotations

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float32

from fer_jax.expressions import NUM_EXPRESSIONS
from fer_jax.models import im2col
from fer_jax.models.blocks import max_pool_2x2


class SeedCNN(nn.Module):
    """Four convolutions with pooling, then two dense layers; batch norm and dropout throughout."""

    dropout: float = 0.25
    momentum: float = 0.99  # share of batch norm's statistics that a training step keeps
    dtype: Any = jnp.float32
    im2col: bool = False  # convolve by matrix products, see `models.im2col`

    @nn.compact
    def __call__(
        self, x: Float32[jax.Array, "batch height width 1"], *, train: bool
    ) -> Float32[jax.Array, "batch 7"]:
        """Returns the logits of standardised faces, usually of 48 x 48 pixels."""
        norm = functools.partial(
            nn.BatchNorm,
            use_running_average=not train,
            momentum=self.momentum,
            dtype=self.dtype,
        )
        drop = functools.partial(nn.Dropout, self.dropout, deterministic=not train)
        conv = functools.partial(
            nn.Conv,
            dtype=self.dtype,
            conv_general_dilated=im2col.convolve if self.im2col else None,
        )
        for features, size in ((64, 3), (128, 5), (512, 3), (512, 3)):
            x = conv(features, (size, size))(x)
            x = drop()(max_pool_2x2(nn.relu(norm()(x))))
        x = x.reshape(x.shape[0], -1)  # no len: exports take any batch
        for features in (256, 512):
            x = drop()(nn.relu(norm()(nn.Dense(features, dtype=self.dtype)(x))))
        return nn.Dense(NUM_EXPRESSIONS)(x.astype(jnp.float32))
