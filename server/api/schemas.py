"""JSON schemas of requests and responses, for the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fer_jax.expressions import EXPRESSIONS
from fer_jax.faces.quality import QUALITIES
from server.api.cameras import MOST_SMOOTHING_S, PRIVACY
from server.live.analysis import STAGES
from server.live.orientation import ROTATIONS
from server.live.readings import CAMERA_STATUSES

Schema = dict[str, Any]

_NUMBER: Schema = {"type": "number"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_TEXT: Schema = {"type": "string"}
_FLAG: Schema = {"type": "boolean"}
_SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}


def reference(name: str) -> Schema:
    """Returns a reference to one of `SCHEMAS`."""
    return {"$ref": f"#/components/schemas/{name}"}


def _object(properties: Mapping[str, Schema], *, optional: bool = False) -> Schema:
    """An object with exactly these properties, all required unless `optional`."""
    shape: Schema = {
        "type": "object",
        "properties": dict(properties),
        "additionalProperties": False,
    }
    return shape if optional else {**shape, "required": list(properties)}


def _list(items: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": items, **more}


_CONTROLS: dict[str, Schema] = {
    "mirror": {
        **_FLAG,
        "description": "Mirror the annotated image; text stays readable. Boxes and the "
        "plain stream stay unmirrored.",
    },
    "rotate": {
        "type": "integer",
        "enum": list(ROTATIONS),
        "description": "Degrees clockwise; images are rotated before analysis.",
    },
    "flip": {**_FLAG, "description": "Swap left and right before analysis, after rotating."},
    "paused": {**_FLAG, "description": "Take no frames."},
    "smoothing_s": {
        "type": "number",
        "minimum": 0,
        "maximum": MOST_SMOOTHING_S,
        "description": "Time constant of the probabilities, in seconds; 0 disables smoothing.",
    },
    "threshold": {
        "type": ["number", "null"],
        "minimum": 0,
        "maximum": 1,
        "description": "Confidence below which a face is uncertain; null for the checkpoint's.",
    },
    "privacy": {
        "type": "string",
        "enum": list(PRIVACY),
        "description": "Pixelate the faces, or send no image at all; done before encoding.",
    },
    "recording": {
        **_FLAG,
        "description": "Write a csv of the faces and an annotated video on the server's machine.",
    },
}

_BOX = _list(
    _NUMBER, minItems=4, maxItems=4, description="x, y, width and height in the image's pixels."
)
_FACE: dict[str, Schema] = {
    "box": _BOX,
    "detection_score": _SHARE,
    "expression": {"type": "string", "enum": list(EXPRESSIONS)},
    "confidence": _SHARE,
    "uncertain": _FLAG,
    "quality": {
        "type": "string",
        "enum": list(QUALITIES),
        "description": "Why the face cannot be read; such a face is uncertain.",
    },
    "probabilities": reference("Probabilities"),
}

SCHEMAS: dict[str, Schema] = {
    "Error": _object(
        {"error": _object({"code": {**_TEXT, "description": "Stable."}, "message": _TEXT})}
    ),
    "Status": _object({"status": {"type": "string", "enum": ["ok", "ready"]}}),
    "Probabilities": _object(dict.fromkeys(EXPRESSIONS, _SHARE)),
    "Controls": _object(_CONTROLS),
    "ControlChanges": _object(_CONTROLS, optional=True),
    "Camera": _object(
        {
            "name": _TEXT,
            "kind": {"type": "string", "enum": ["device", "file", "network", "demo", "browser"]},
            "source": {
                **_TEXT,
                "description": "Without secrets; for viewers the kind.",
            },
            "status": {"type": "string", "enum": list(CAMERA_STATUSES)},
            "reason": {**_TEXT, "description": "Why there is no image; empty while there is one."},
            "retry_in_s": {"type": ["number", "null"]},
            "width": _COUNT,
            "height": _COUNT,
            "fps": _NUMBER,
            "frames": _COUNT,
            "drops": _COUNT,
            "reconnects": _COUNT,
            "viewers": _COUNT,
            "controls": reference("Controls"),
            "recording_problem": {
                **_TEXT,
                "description": "Why the last recording ended by itself; empty if it did not.",
            },
            "stream": {**_TEXT, "description": "Path; signed for 5 minutes with a token."},
            "snapshot": {**_TEXT, "description": "Path; signed for 5 minutes with a token."},
        }
    ),
    "Cameras": _object(
        {
            "cameras": _list(reference("Camera")),
            "labels": _list(_TEXT),
            "colours": {"type": "object", "additionalProperties": _TEXT},
            "uncertain_below": _SHARE,
            "role": {"type": "string", "enum": ["operator", "viewer"]},
            "signed_in": {**_FLAG, "description": "By a session, which `POST /logout` ends."},
        }
    ),
    "Scores": _object(
        {
            "images": _list(
                _object(
                    {
                        "name": _TEXT,
                        "width": _COUNT,
                        "height": _COUNT,
                        "faces": _list(_object(_FACE)),
                    }
                )
            ),
            "labels": _list(_TEXT),
        }
    ),
    "Analysis": _object(
        {
            "camera": _TEXT,
            "number": _COUNT,
            "captured_s": {**_NUMBER, "description": "Monotonic seconds of the server's machine."},
            "wall_s": {**_NUMBER, "description": "The same moment in seconds since 1970."},
            "width": _COUNT,
            "height": _COUNT,
            "fps": _NUMBER,
            "viewers": _COUNT,
            "age_s": _NUMBER,
            "stages": {
                "type": "object",
                "description": "Seconds of each stage that ran.",
                "properties": dict.fromkeys(STAGES, _NUMBER),
                "additionalProperties": False,
            },
            "faces": _list(_object({"track": _COUNT, **_FACE, "raw": reference("Probabilities")})),
        }
    ),
}
