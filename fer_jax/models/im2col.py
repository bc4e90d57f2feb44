"""Convolutions as products of bfloat16 matrices, for training on CPUs that have units for those (AMX).

Each patch of the input becomes a row of a matrix ("im2col"; Chellapilla et al., 2006). XLA hands
products of bfloat16 matrices with float32 results to a library that uses such units. Convolutions, and
above all their gradients, it computes without them. `make bench-train-torch` measures what this gains.
Compilers for accelerators need no such help.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import BFloat16, Float, Float32

_FEWEST_CHANNELS = 16  # with fewer, XLA keeps the product from the library, and cannot compute it


def suits(x: Sequence[int], kernel: Sequence[int], strides: Sequence[int], padding: object) -> bool:
    """Whether `convolve` computes such a convolution by a matrix product.

    Args:
        x: shape of the images, [B, H, W, inputs].
        kernel: shape of the kernel, [side, side, inputs, outputs].
        strides: of rows and columns.
        padding: as `nn.Conv` passes it on.
    """
    side, across, inputs, outputs = kernel
    whole = all(size % stride == 0 for size, stride in zip(x[1:3], strides, strict=True))
    return (
        padding == "SAME"
        and min(inputs, outputs) >= _FEWEST_CHANNELS
        and side == across
        and side % 2 == 1
        and (tuple(strides) == (1, 1) or (side == 3 and tuple(strides) == (2, 2) and whole))
    )


def convolve(
    x: Float[jax.Array, "batch height width inputs"],
    kernel: Float[jax.Array, "side side inputs outputs"],
    strides: Sequence[int],
    padding: Any,
    **rest: Any,
) -> Float[jax.Array, "batch rows columns outputs"]:
    """Replaces `lax.conv_general_dilated` in `nn.Conv`; passes on unsuitable convolutions.

    Products are of bfloat16, sums of float32; the result has the dtype of `x`.

    Args:
        x: images.
        kernel: of the same dtype.
        strides: of rows and columns.
        padding: "SAME", or any other that `lax.conv_general_dilated` takes.
        rest: dilations of 1, one feature group and the dimensions of `x` and `kernel`.
    """
    if not suits(x.shape, kernel.shape, strides, padding):
        return lax.conv_general_dilated(x, kernel, strides, padding, **rest)
    if len(kernel) == 1:
        return _product(x, kernel[0, 0]).astype(x.dtype)
    return _convolution(x, kernel, strides[0])


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _convolution(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    return _forward(x, kernel, stride)[0]


def _forward(x: jax.Array, kernel: jax.Array, stride: int) -> tuple[jax.Array, Any]:
    side = len(kernel)
    # "SAME" puts the odd zero behind the image.
    before = side // 2 if stride == 1 else 0
    patches = _patches(x, side=side, stride=stride, before=before, fence=kernel)
    y = _product(patches, kernel.reshape(-1, kernel.shape[-1]))
    return y.astype(x.dtype), (patches, kernel)


def _backward(stride: int, kept: Any, dy: jax.Array) -> tuple[jax.Array, jax.Array]:
    patches, kernel = kept
    across = _apart(jnp.transpose, dy.reshape(-1, dy.shape[-1]), fence=kernel)
    dkernel = _product(across, patches.reshape(-1, patches.shape[-1]))
    dkernel = _apart(jnp.transpose, dkernel, fence=kernel).reshape(kernel.shape)
    dx = _image_gradient(dy, kernel) if stride == 1 else _halved_image_gradient(dy, kernel)
    return dx.astype(dy.dtype), dkernel.astype(kernel.dtype)


_convolution.defvjp(_forward, _backward)


def _image_gradient(dy: jax.Array, kernel: jax.Array) -> jax.Array:
    """The gradient of a convolution's images: a convolution with the kernel turned round."""
    side, _, inputs, _ = kernel.shape
    turned = jnp.flip(kernel, (0, 1)).swapaxes(2, 3).reshape(-1, inputs)
    return _product(_patches(dy, side=side, stride=1, before=side // 2, fence=kernel), turned)


def _halved_image_gradient(dy: jax.Array, kernel: jax.Array) -> jax.Array:
    """The same for a 3x3 convolution with stride 2.

    A 2x2 block of the image is in the patches of its own output pixel and of those before it, so the
    gradients of all four pixels come from one 2x2 patch of `dy`.
    """
    *_, inputs, outputs = kernel.shape
    blocks = jnp.pad(kernel, ((0, 1), (0, 1), (0, 0), (0, 0)))
    blocks = blocks.reshape(2, 2, 2, 2, inputs, outputs)  # block and pixel in it, by rows, columns
    turned = jnp.flip(blocks, (0, 2)).transpose(0, 2, 5, 1, 3, 4).reshape(4 * outputs, -1)
    dx = _product(_patches(dy, side=2, stride=1, before=1, fence=kernel), turned)
    batch, rows, columns, _ = dx.shape
    dx = dx.reshape(batch, rows, columns, 2, 2, inputs).swapaxes(2, 3)
    return dx.reshape(batch, 2 * rows, 2 * columns, inputs)


def _patches(
    x: Float[jax.Array, "batch height width channels"],
    *,
    side: int,
    stride: int,
    before: int,
    fence: jax.Array,
) -> BFloat16[jax.Array, "batch height//{stride} width//{stride} {side}*{side}*channels"]:
    """Returns the patch of the input that each output pixel is computed from.

    Args:
        x: images.
        side: of a patch.
        stride: from patch to patch.
        before: zeros before the first row and column; as many as are needed follow the last.
        fence: see `_apart`.
    """
    batch, height, width, channels = x.shape
    rows, columns = height // stride, width // stride
    after = [
        (count - 1) * stride + side - before - size
        for count, size in ((rows, height), (columns, width))
    ]
    zeros = ((0, 0), (before, after[0]), (before, after[1]), (0, 0))
    padded = jnp.pad(x.astype(jnp.bfloat16), zeros)

    def gather(padded: jax.Array) -> jax.Array:
        *_, tall, wide, _ = padded.shape
        image = tall * wide * jnp.arange(batch)[:, None, None, None, None]
        row = stride * jnp.arange(rows)[:, None, None, None] + jnp.arange(side)[:, None]
        column = stride * jnp.arange(columns)[:, None, None] + jnp.arange(side)
        pixels = padded.reshape(-1, channels)
        return pixels.at[image + wide * row + column].get(mode="promise_in_bounds")

    return _apart(gather, padded, fence=fence).reshape(batch, rows, columns, -1)


def _apart(function: Callable[[jax.Array], jax.Array], x: jax.Array, *, fence: jax.Array) -> Any:
    """Returns `function(x)`, computed as it is written.

    XLA would merge it with the product that follows: write the matrix in one loop with divisions for
    each number, or leave it transposed, which takes ten times as long or is refused. It does not
    merge what a condition decides.

    Args:
        function: of one array.
        x: the array.
        fence: an array that decides, as long as its first number is finite.
    """
    shape = jax.eval_shape(function, x)
    nothing = functools.partial(jnp.full, shape.shape, jnp.nan, shape.dtype)
    return lax.cond(jnp.isfinite(fence.ravel()[0]), function, lambda _: nothing(), x)


def _product(
    a: Float[jax.Array, "*rows inner"], b: Float[jax.Array, "inner outputs"]
) -> Float32[jax.Array, "*rows outputs"]:
    """Returns a @ b: products of bfloat16, sums of float32."""
    flat = a.astype(jnp.bfloat16).reshape(-1, a.shape[-1])
    product = lax.dot(flat, b.astype(jnp.bfloat16), preferred_element_type=jnp.float32)
    return product.reshape(*a.shape[:-1], -1)
