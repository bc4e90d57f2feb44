"""A checkpoint as one StableHLO file that runs without Flax, without this package and on any platform.

The file is a zip: `model.stablehlo`, what `jax.export` serialises, with weights and temperature inside,
and `metadata.json`: what goes in, what comes out, in which order.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import jax
import jax.export
import jax.numpy as jnp

from fer_jax.errors import FerError
from fer_jax.expressions import EXPRESSIONS
from fer_jax.inference import FACE, calibration, inference_function
from fer_jax.saved_model import SavedModel

PLATFORMS = ("cpu", "cuda", "tpu")
PROGRAM, METADATA = "model.stablehlo", "metadata.json"

_WRITTEN = (2000, 1, 1, 0, 0, 0)  # the same bytes whenever a file is made


def metadata(saved: SavedModel) -> dict[str, Any]:
    """Returns what a user of the program has to know, JSON-able."""
    temperature, uncertain_below = calibration(saved)
    return {
        "input": "uint8 [batch, 48, 48]: grey faces, framed as fer_jax.faces.crop cuts them",
        "output": "float32 [batch, 7]: calibrated probabilities in the order of labels",
        "labels": list(EXPRESSIONS),
        "preprocessing": "inside: each face's own mean removed, its own standard deviation divided out",
        "temperature": temperature,
        "uncertain_below": uncertain_below,
        "platforms": list(PLATFORMS),
        "digest": saved.digest,
        "jax": jax.__version__,
    }


def stablehlo(saved: SavedModel) -> bytes:
    """Returns the file: a program of a batch of any size, uint8 [B, 48, 48] -> float32 [B, 7].

    Raises:
        CheckpointError: the network is not one of this version's.
        FerError: the package flatbuffers is not installed.
    """
    logits, variables = inference_function(saved)
    temperature, _ = calibration(saved)

    def probabilities(faces: jax.Array) -> jax.Array:
        return jax.nn.softmax(logits(variables, faces) / jnp.float32(temperature))

    (batch,) = jax.export.symbolic_shape("batch")
    faces = jax.ShapeDtypeStruct((batch, *FACE.shape), FACE.dtype)
    exported = jax.export.export(jax.jit(probabilities), platforms=PLATFORMS)(faces)
    try:
        program = exported.serialize()
    except ImportError as error:
        raise FerError(
            'writing StableHLO needs the package flatbuffers: pip install "fer_jax[export]"'
        ) from error
    return _zipped({PROGRAM: bytes(program), METADATA: _json(metadata(saved))})


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
