"""The pieces the networks are built from: plain functions and small Flax modules.

Blocks take their convolution and norm as arguments, so that a network decides once on dtype,
initialiser and train/eval mode.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Initializer
from jaxtyping import Float

Layer = Callable[[jax.Array], jax.Array]


@runtime_checkable
class ConvolutionOf(Protocol):
    """How a network makes its convolutions."""

    def __call__(
        self, features: int, kernel_size: tuple[int, int], *, strides: tuple[int, int] = (1, 1)
    ) -> Layer:
        """Returns [B, H, W, C] -> [B, H/stride, W/stride, features], zeros around the image."""
        ...


@runtime_checkable
class NormOf(Protocol):
    """How a network makes its norms."""

    def __call__(self, *, scale_init: Initializer = nn.initializers.ones) -> Layer:
        """Returns a norm over all axes but the last, whose factors start with `scale_init`."""
        ...


def space_to_depth(
    x: Float[jax.Array, "batch height width channels"],
) -> Float[jax.Array, "batch height//2 width//2 4*channels"]:
    """Moves each 2x2 patch into channels; height and width are even.

    Convolutions with few channels at full resolution are the slowest on a CPU.
    """
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height // 2, 2, width // 2, 2, channels)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(batch, height // 2, width // 2, 4 * channels)


def max_pool_2x2(
    x: Float[jax.Array, "batch height width channels"],
) -> Float[jax.Array, "batch height//2 width//2 channels"]:
    """Largest of each 2x2 patch; height and width are even.

    Written as maxima of slices because the gradient of `nn.max_pool` (select-and-scatter) takes half
    the training time of a small network on CPU, and a maximum over two axes at once is not vectorised.
    """
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height // 2, 2, width // 2, 2, channels)
    above, below = (jnp.maximum(x[:, :, k, :, 0], x[:, :, k, :, 1]) for k in range(2))
    return jnp.maximum(above, below)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut (He et al., 2016, arXiv:1512.03385).

    `stride` 2 halves the resolution; the shortcut then averages 2x2 patches before its 1x1
    convolution (He et al., 2019, arXiv:1812.01187), which keeps all of the input in play. With
    `pool`, the first convolution reads the largest of each patch instead of striding, since a stride
    does not treat left and right alike.
    """

    features: int
    conv: ConvolutionOf
    norm: NormOf
    stride: int = 1
    pool: bool = False

    @nn.compact
    def __call__(
        self, x: Float[jax.Array, "batch height width channels"]
    ) -> Float[jax.Array, "batch height//{self.stride} width//{self.stride} {self.features}"]:
        """Runs both ways and adds them."""
        strides = (self.stride, self.stride)
        shortcut = x
        if self.stride > 1:
            shortcut = nn.avg_pool(x, strides, strides)
        if shortcut.shape[-1] != self.features:
            shortcut = self.norm()(self.conv(self.features, (1, 1))(shortcut))
        if self.pool and self.stride > 1:
            x, strides = max_pool_2x2(x), (1, 1)
        y = nn.relu(self.norm()(self.conv(self.features, (3, 3), strides=strides)(x)))
        # A zero scale makes each block start as the identity (Goyal et al., 2017, arXiv:1706.02677).
        y = self.norm(scale_init=nn.initializers.zeros)(self.conv(self.features, (3, 3))(y))
        return nn.relu(shortcut + y)
