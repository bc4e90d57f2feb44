"""Writes a checkpoint as one calibrated file that runs without Flax and without this package.

StableHLO, for JAX on any platform, is a zip: `model.stablehlo` as `jax.export` serialises it, weights
included, and `metadata.json`, which describes input, output and labels. ONNX, for everything else, is a
model that holds the same metadata: strings as text, other values as JSON.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import numpy as np

from fer_jax.errors import FerError
from fer_jax.expressions import EXPRESSIONS
from fer_jax.inference.network import FACE, inference_function
from fer_jax.saved_model import SavedModel, calibration

PLATFORMS = ("cpu", "cuda", "tpu")
PROGRAM, METADATA = "model.stablehlo", "metadata.json"
FACES, PROBABILITIES = "faces", "probabilities"  # of an ONNX model, what goes in and what comes out

TOLERANCE = 1e-4  # of an ONNX model's probabilities

_WRITTEN = (2000, 1, 1, 0, 0, 0)  # so that the bytes do not depend on the time


def metadata(saved: SavedModel) -> dict[str, Any]:
    """Returns what a user of the file needs to know, in any format, JSON-able."""
    temperature, uncertain_below = calibration(saved)
    return {
        "input": "uint8 [batch, 48, 48]: grey faces, framed as fer_jax.faces.crop cuts them",
        "output": "float32 [batch, 7]: calibrated probabilities in the order of labels",
        "labels": list(EXPRESSIONS),
        "preprocessing": "inside: each face's own mean removed, its own standard deviation divided out",
        "temperature": temperature,
        "uncertain_below": uncertain_below,
        "dataset": (saved.card or {}).get("dataset", {}).get("name"),
        "digest": saved.digest,
        "jax": jax.__version__,
    }


def stablehlo(saved: SavedModel) -> bytes:
    """Returns the file: a program for any batch size, uint8 [B, 48, 48] -> float32 [B, 7].

    Raises:
        CheckpointError: the network is not one of this version's.
        FerError: the package flatbuffers is not installed.
    """
    (batch,) = jax.export.symbolic_shape("batch")
    faces = jax.ShapeDtypeStruct((batch, *FACE.shape), FACE.dtype)
    exported = jax.export.export(jax.jit(_probabilities(saved)), platforms=PLATFORMS)(faces)
    try:
        program = exported.serialize()
    except ImportError as error:
        raise FerError(
            'writing StableHLO needs the package flatbuffers: pip install "fer_jax[export]"'
        ) from error
    about = {**metadata(saved), "platforms": list(PLATFORMS)}
    return _zipped({PROGRAM: bytes(program), METADATA: _json(about)})


def onnx_model(saved: SavedModel) -> bytes:
    """Returns the file: a model for any batch size, uint8 [B, 48, 48] -> float32 [B, 7].

    Raises:
        CheckpointError: the network is not one of this version's.
        FerError: it computes in bfloat16 or uses a primitive that no rule translates, or the package
            onnx is not installed.
    """
    try:
        from fer_jax.exporting.onnx_translation import translate
    except ImportError as error:
        raise FerError(
            'writing ONNX needs the package onnx: pip install "fer_jax[export]"'
        ) from error
    probabilities = _probabilities(saved)
    if (dtype := saved.about["config"]["model"]["dtype"]) != "float32":
        # In bfloat16, JAX's results vary by 2e-4 with the batch size and by 2e-3 with fusion.
        raise FerError(
            f"{saved.path}: computes in {dtype}, which no ONNX runtime repeats within {TOLERANCE:g}; "
            "export with --format stablehlo, or train with --config.model.dtype=float32"
        )
    model = translate(
        probabilities,
        FACE,
        input_name=FACES,
        output_name=PROBABILITIES,
        metadata={
            key: value if isinstance(value, str) else json.dumps(value)
            for key, value in metadata(saved).items()
        },
    )
    return model.SerializeToString(deterministic=True)


def onnx_difference(content: bytes, saved: SavedModel, faces: np.ndarray) -> float:
    """Returns the largest difference between the probabilities of an ONNX model and its checkpoint.

    Args:
        content: the result of `onnx_model`.
        saved: the network it was made from.
        faces: uint8 [B, 48, 48].
    """
    from onnxruntime import InferenceSession

    session = InferenceSession(content, providers=["CPUExecutionProvider"])
    (found,) = session.run([PROBABILITIES], {FACES: faces})
    with jax.default_matmul_precision("highest"):  # or accelerators round what they multiply
        expected = jax.jit(_probabilities(saved))(faces)
    return float(np.abs(np.asarray(found) - np.asarray(expected)).max())


def _probabilities(saved: SavedModel) -> Callable[[jax.Array], jax.Array]:
    """Returns the exported function: uint8 [B, 48, 48] -> calibrated float32 [B, 7]."""
    logits, variables = inference_function(saved)
    temperature, _ = calibration(saved)

    def probabilities(faces: jax.Array) -> jax.Array:
        return jax.nn.softmax(logits(variables, faces) / jnp.float32(temperature))

    return probabilities


def _json(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()


def _zipped(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, _WRITTEN)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return out.getvalue()
