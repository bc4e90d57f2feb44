"""Grad-CAM: which parts of a face support an expression (Selvaraju et al., 2017, arXiv:1610.02391).

One pure function of a batch of faces returns the maps of all seven expressions: the network runs forward
once, and the few layers behind its last feature map run backward seven times.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32, Int, UInt8

from fer_jax.expressions import NUM_EXPRESSIONS
from fer_jax.inference.network import FACE, inference_parts
from fer_jax.models.folding import apply_folded
from fer_jax.models.interception import intercepted
from fer_jax.models.standardise import standardise
from fer_jax.saved_model import SavedModel

_Path = tuple[str, ...]
_Logits: TypeAlias = Float32[jax.Array, "batch 7"]
_Features: TypeAlias = Float32[jax.Array, "batch height width channels"]


def class_maps_function(
    saved: SavedModel,
) -> tuple[Callable[[Any, jax.Array], jax.Array], dict[str, Any]]:
    """Returns variables, uint8 [B, 48, 48] -> float32 [B, 7, h, w], and the variables to call it with.

    The maps have the resolution of the network's last feature map and are 0 or more, in logits: how
    much an expression's logit gains from each place.

    Raises:
        CheckpointError: this version does not have the network, or the weights do not fit it.
    """
    model, variables = inference_parts(saved)
    layer, shape = _last_feature_map(model, variables)

    def class_maps(
        variables: Any, faces: UInt8[jax.Array, "batch 48 48"]
    ) -> Float32[jax.Array, "batch 7 height width"]:
        x = standardise(faces)

        def logits_of(change: _Features) -> tuple[_Logits, _Features]:
            return _with_changed_features(model, variables, x, layer=layer, change=change)

        unchanged = jnp.zeros((len(faces), *shape), jnp.float32)
        logits, gradient, features = jax.vjp(logits_of, unchanged, has_aux=True)

        def class_map(expression: Int[jax.Array, ""]) -> Float32[jax.Array, "batch height width"]:
            # A face's logits depend only on its own features, so one pull serves the whole batch.
            one = jnp.zeros_like(logits).at[:, expression].set(1.0)
            importance = jnp.mean(gradient(one)[0], axis=(1, 2))
            return nn.relu(jnp.einsum("bhwc,bc->bhw", features, importance))

        return jax.vmap(class_map, out_axes=1)(jnp.arange(NUM_EXPRESSIONS))

    return class_maps, variables


def _with_changed_features(
    model: nn.Module, variables: Any, x: jax.Array, *, layer: _Path, change: _Features
) -> tuple[_Logits, _Features]:
    """Returns the logits with a change added to a layer's output, and that output."""
    seen: list[jax.Array] = []

    def watch(module: nn.Module, x: jax.Array, compute: Callable[[], jax.Array]) -> jax.Array:
        out = compute()
        if module.path != layer:
            return out
        seen.append(out.astype(jnp.float32))
        return out + change.astype(out.dtype)

    with intercepted(watch):
        logits = apply_folded(model, variables, x)
    return logits, seen[0]


def _last_feature_map(model: nn.Module, variables: Any) -> tuple[_Path, tuple[int, ...]]:
    """Returns the path of the last layer whose output is an image, and the shape of one, [h, w, C]."""
    found: list[tuple[_Path, tuple[int, ...]]] = []

    def watch(module: nn.Module, x: jax.Array, compute: Callable[[], jax.Array]) -> jax.Array:
        out = compute()
        if out.ndim == 4 and not isinstance(module, nn.Dropout):
            found.append((module.path, out.shape[1:]))
        return out

    example = jax.ShapeDtypeStruct((1, *FACE.shape, 1), np.float32)
    with intercepted(watch):
        jax.eval_shape(lambda v, x: apply_folded(model, v, x), variables, example)
    return found[-1]
