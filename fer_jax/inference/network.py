"""A saved network prepared for inference: one pure function, its variables and its calibration."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Callable, Sequence
from typing import Any

import flax.errors
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32, UInt8

from fer_jax import models
from fer_jax.errors import CheckpointError
from fer_jax.faces.preprocess import FACE_SIZE
from fer_jax.inference.compilation import threads
from fer_jax.models import winograd
from fer_jax.models.folding import apply_folded, fold_batch_norm, with_winograd
from fer_jax.models.standardise import standardise
from fer_jax.saved_model import SavedModel, first_line

FACE = jax.ShapeDtypeStruct((FACE_SIZE, FACE_SIZE), np.uint8)  # one row of the function's batch
_EXAMPLE = jax.ShapeDtypeStruct((1, FACE_SIZE, FACE_SIZE, 1), np.float32)  # of the network's input


def inference_function(
    saved: SavedModel, *, devices: Sequence[Any] = ()
) -> tuple[Callable[[Any, jax.Array], jax.Array], dict[str, Any]]:
    """Returns variables, uint8 [B, 48, 48] -> float32 logits [B, 7], and the variables to call it with.

    Args:
        saved: the network.
        devices: where it will run, if known. On one CPU it convolves by `winograd`, some faces at a
            time.

    Raises:
        CheckpointError: this version does not have the network, or the weights do not fit it.
    """
    model, variables = inference_parts(saved)
    if [device.platform for device in devices] == ["cpu"]:
        transformed = with_winograd(model, variables, example=_EXAMPLE)
        if transformed is not None:
            by_pieces = functools.partial(_logits_by_pieces, piece=winograd.piece(threads()))
            return functools.partial(by_pieces, model=model), transformed
    return functools.partial(_logits, model=model), variables


def inference_parts(saved: SavedModel) -> tuple[nn.Module, dict[str, Any]]:
    """Returns the network, and the variables with which `apply_folded` runs it.

    Raises:
        CheckpointError: this version does not have the network, or the weights do not fit it.
    """
    model = _model(saved)
    try:
        folded = fold_batch_norm(model, saved.variables, example=_EXAMPLE)
    except flax.errors.FlaxError as error:
        raise CheckpointError(
            f"{saved.path}: its weights do not fit its network ({first_line(error)}); "
            "take another copy of it, or train again"
        ) from error
    # In bfloat16, folded weights would give logits different from those measured in training.
    exact = saved.about["config"]["model"]["dtype"] == "float32"
    return model, folded if exact else saved.variables


def _logits(
    variables: Any, faces: UInt8[jax.Array, "batch 48 48"], *, model: nn.Module
) -> Float32[jax.Array, "batch 7"]:
    return apply_folded(model, variables, standardise(faces))


def _logits_by_pieces(
    variables: Any, faces: UInt8[jax.Array, "batch 48 48"], *, model: nn.Module, piece: int
) -> Float32[jax.Array, "batch 7"]:
    """Like `_logits`, `piece` faces at a time."""
    logits = functools.partial(_logits, variables, model=model)
    whole = len(faces) // piece
    if len(faces) <= piece:
        return logits(faces)
    pieces = faces[: whole * piece].reshape(whole, piece, *faces.shape[1:])
    first = jax.lax.map(logits, pieces).reshape(whole * piece, -1)
    rest = faces[whole * piece :]
    return jnp.concatenate([first, logits(rest)]) if len(rest) else first


def _model(saved: SavedModel) -> nn.Module:
    try:
        options = saved.about["config"]["model"]
        name, dtype = options["name"], options["dtype"]
    except (KeyError, TypeError) as error:
        raise CheckpointError(
            f"{saved.path}: does not name its network; expected a checkpoint of fer_jax.train"
        ) from error
    if name not in models.MODELS:
        near = difflib.get_close_matches(str(name), models.MODELS, n=1)
        hint = f"did it mean {near[0]}?" if near else f"known are {', '.join(models.MODELS)}"
        raise CheckpointError(
            f"{saved.path}: is of the network {name!r}, which this version of fer_jax does not have; "
            f"{hint}"
        )
    return models.build(name, dtype=dtype)
