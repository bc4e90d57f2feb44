"""Residual networks on a space-to-depth stem: small by default, medium, and large for accelerators."""

from __future__ import annotations

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float32

from fer_jax.expressions import NUM_EXPRESSIONS
from fer_jax.models import im2col
from fer_jax.models.blocks import ResidualBlock, space_to_depth


class ResNet(nn.Module):
    """Space-to-depth stem, stages of residual blocks, global average pooling, dropout, one dense layer.

    Attributes:
        widths: channels of each stage; every stage but the first halves the resolution.
        blocks: residual blocks in each stage.
        dropout: probability of dropping a pooled feature.
        space_to_depth: fold 2x2 pixels into channels before the first convolution.
        momentum: share of batch norm's statistics that a training step keeps.
        dtype: of the convolutions; parameters and logits stay float32.
        im2col: convolve by matrix products, see `models.im2col`.
        mirrored: give a face and its mirror image the same logits, see `models.mirror`.

    Raises:
        ValueError: it is mirrored with an odd width, or without `space_to_depth`.
    """

    widths: tuple[int, ...]
    blocks: tuple[int, ...]
    dropout: float = 0.2
    space_to_depth: bool = True
    momentum: float = 0.9
    dtype: Any = jnp.float32
    im2col: bool = False
    mirrored: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mirrored and (any(width % 2 for width in self.widths) or not self.space_to_depth):
            raise ValueError("a mirrored network needs even widths and space_to_depth")

    @nn.compact
    def __call__(
        self, x: Float32[jax.Array, "batch height width 1"], *, train: bool
    ) -> Float32[jax.Array, "batch 7"]:
        """Returns the logits of standardised faces, usually of 48 x 48 pixels."""
        conv = functools.partial(
            nn.Conv,
            use_bias=False,
            dtype=self.dtype,
            conv_general_dilated=im2col.convolve if self.im2col else None,
            kernel_init=nn.initializers.variance_scaling(2.0, "fan_out", "truncated_normal"),
        )
        norm = functools.partial(
            nn.BatchNorm,
            use_running_average=not train,
            momentum=self.momentum,
            dtype=self.dtype,
        )
        if self.space_to_depth:
            x = space_to_depth(x)
        x = nn.relu(norm()(conv(self.widths[0], (3, 3))(x)))
        for stage, (features, count) in enumerate(zip(self.widths, self.blocks, strict=True)):
            for block in range(count):
                stride = 2 if stage > 0 and block == 0 else 1
                x = ResidualBlock(features, conv, norm, stride, pool=self.mirrored)(x)
        x = jnp.mean(x, axis=(1, 2)).astype(jnp.float32)
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return nn.Dense(NUM_EXPRESSIONS)(x)


resnet_small = functools.partial(ResNet, widths=(48, 96, 192), blocks=(1, 1, 2), dropout=0.3)
# resnet_small with one more block in its second and third stage; starts from its weights, see `growing`.
resnet_deep = functools.partial(ResNet, widths=(48, 96, 192), blocks=(1, 2, 3), dropout=0.3)
# resnet_deep, whose weights come in mirrored pairs.
resnet_mirrored = functools.partial(
    ResNet, widths=(48, 96, 192), blocks=(1, 2, 3), dropout=0.3, mirrored=True
)
resnet_medium = functools.partial(ResNet, widths=(64, 128, 256), blocks=(1, 2, 2), dropout=0.3)
# A teacher that starts from the weights of resnet_deep or resnet_medium.
resnet_wide = functools.partial(ResNet, widths=(64, 128, 256), blocks=(2, 2, 3), dropout=0.3)
resnet_large = functools.partial(
    ResNet, widths=(64, 128, 256, 512), blocks=(2, 2, 2, 2), space_to_depth=False
)
