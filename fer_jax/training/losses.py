"""What a training step minimises, and the mixing of examples that goes with it."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float, Float32, Integer, Key

from fer_jax.config import LossConfig
from fer_jax.data.in_memory import Array
from fer_jax.expressions import NUM_EXPRESSIONS


def class_weights(
    labels: Integer[np.ndarray, " faces"], *, scheme: str
) -> Float32[np.ndarray, " 7"]:
    """Weight of each class in the loss, averaging 1 over the examples.

    Args:
        labels: the training labels.
        scheme: "none", or "balanced": inverse to the class's frequency.
    """
    if scheme == "none":
        return np.ones(NUM_EXPRESSIONS, np.float32)
    frequency = np.bincount(labels, minlength=NUM_EXPRESSIONS)
    present = np.count_nonzero(frequency)
    return (len(labels) / (present * np.maximum(frequency, 1))).astype(np.float32)


def cross_entropy(
    logits: Float[Array, "batch 7"],
    target: Float[Array, "batch 7"],
    *,
    label_smoothing: float = 0.0,
) -> Float[jax.Array, " batch"]:
    """Cross-entropy in nats of logits against distributions."""
    return optax.softmax_cross_entropy(
        logits, optax.smooth_labels(jnp.asarray(target), label_smoothing)
    )


def mix(
    key: Key[jax.Array, ""],
    image: Float[Array, "batch height width 1"],
    target: Float[Array, "batch 7"],
    *,
    config: LossConfig,
) -> tuple[Float[Array, "batch height width 1"], Float[Array, "batch 7"]]:
    """Blends each example with the one at the mirrored place of the batch, when configured.

    Mixup adds images up, cutmix pastes a rectangle; targets are mixed in the same share. With both
    on, a coin decides for the whole batch.

    Args:
        key: of this step.
        image: square, standardised.
        target: of each example.
        config: the Beta parameters.

    Returns:
        The mixed image and target, of the same shapes.
    """
    if not (config.mixup or config.cutmix):
        return image, target
    coin_key, share_key, box_key = jax.random.split(key, 3)
    cut = jax.random.bernoulli(coin_key) if config.mixup and config.cutmix else config.cutmix > 0
    concentration = jnp.where(cut, config.cutmix, config.mixup)
    share = jax.random.beta(share_key, concentration, concentration)
    box = _box(box_key, share, size=image.shape[1])
    weight = jnp.where(cut, 1.0 - box, share)
    share = jnp.where(cut, jnp.mean(weight), share)
    return (
        weight * image + (1 - weight) * image[::-1],
        share * target + (1 - share) * target[::-1],
    )


def _box(
    key: Key[jax.Array, ""], share: Float32[jax.Array, ""], *, size: int
) -> Float32[jax.Array, "{size} {size} 1"]:
    """1 inside a random rectangle of area 1 - share, otherwise 0."""
    side = size * jnp.sqrt(1 - share)
    centre = jax.random.uniform(key, (2,), maxval=size)
    at = jnp.arange(size) + 0.5
    inside = jnp.abs(at[None, :] - centre[:, None]) < side / 2
    return (inside[0][:, None] & inside[1][None, :]).astype(jnp.float32)[..., None]
