"""The results of a frame or photograph, as JSON."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from fer_jax.expressions import EXPRESSIONS
from server.live.analysis import Analysis, TrackedFace
from server.live.camera_pipeline import CameraPipeline


def analysis_json(analysis: Analysis, *, pipeline: CameraPipeline) -> dict[str, Any]:
    """Returns the message for one analysed frame; boxes refer to the camera's unmirrored image."""
    return {
        "camera": analysis.camera,
        "number": analysis.number,
        "captured_s": round(analysis.captured_s, 6),
        "wall_s": round(analysis.wall_s, 6),
        "width": analysis.width,
        "height": analysis.height,
        "fps": round(pipeline.camera.state.fps, 1),
        "viewers": pipeline.viewers,
        "age_s": round(time.monotonic() - analysis.captured_s, 4),
        "stages": {stage: round(seconds, 6) for stage, seconds in analysis.stages.items()},
        "faces": [_face_json(face) for face in analysis.faces],
    }


def probabilities_json(probabilities: np.ndarray) -> dict[str, float]:
    """Returns float [7] by expression name, to four decimal places."""
    return {
        name: round(float(value), 4) for name, value in zip(EXPRESSIONS, probabilities, strict=True)
    }


def box_json(box: tuple[float, float, float, float]) -> list[float]:
    """Returns x, y, width and height in pixels, to a tenth."""
    return [round(value, 1) for value in box]


def _face_json(face: TrackedFace) -> dict[str, Any]:
    return {
        "track": face.track,
        "box": box_json(face.box),
        "detection_score": round(face.detection_score, 4),
        "expression": face.expression,
        "confidence": round(face.confidence, 4),
        "uncertain": face.uncertain,
        "quality": face.quality,
        "probabilities": probabilities_json(face.probabilities),
        "raw": probabilities_json(face.raw),
    }
