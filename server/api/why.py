"""GET /api/cameras/{camera}/why: an image of the areas that support a paused face's expression.

Only for paused cameras, because a live face changes before the answer is ready, and only where faces may
be seen.
"""

from __future__ import annotations

import re
from typing import Any

from aiohttp import web

from fer_jax.expressions import EXPRESSIONS
from fer_jax.media import encoding
from server.access.keys import EXPLANATIONS, SETTINGS
from server.access.refusal import ApiError
from server.access.visitors import client
from server.api.cameras import pipeline_of
from server.live.camera_pipeline import CameraPipeline
from server.live.explainer import Explainer
from server.live.keys import EXPLAINER, LIFECYCLE, UPLOAD_THREADS
from server.live.last_faces import LastFace

MOST_TRACK = 999_999_999

_TRACK = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)


async def why(request: web.Request) -> web.Response:
    """Responds with a face under its Grad-CAM map; X-Expression names the expression.

    X-Evidence is "none" if no area supports it, otherwise "some".
    """
    pipeline = pipeline_of(request)
    track, asked = _asked_track(request), _asked_expression(request)
    waits_for = request.app[LIFECYCLE].waits_for
    if waits_for:
        raise ApiError(503, "not_ready", waits_for, retry_after_s=1)
    face = _paused_face(pipeline, track)
    expression = asked or face.expression
    with request.app[EXPLANATIONS].admit(client(request)):
        jpeg, evidence = await request.app[UPLOAD_THREADS].run_aside(
            _draw,
            request.app[EXPLAINER],
            face,
            expression,
            quality=request.app[SETTINGS].jpeg_quality,
        )
    _paused_face(pipeline, track)  # the privacy may have changed meanwhile
    headers = {"X-Expression": expression, "X-Evidence": "some" if evidence else "none"}
    return web.Response(body=jpeg, content_type="image/jpeg", headers=headers)


def parameters() -> list[dict[str, Any]]:
    """Returns the query's parameters, for the OpenAPI document."""
    return [
        {
            "name": "track",
            "in": "query",
            "required": True,
            "schema": {"type": "integer", "minimum": 1, "maximum": MOST_TRACK},
            "description": "The face's number in the results.",
        },
        {
            "name": "expression",
            "in": "query",
            "schema": {"type": "string", "enum": list(EXPRESSIONS)},
            "description": "The expression to explain; by default the face's label.",
        },
    ]


def _asked_track(request: web.Request) -> int:
    given = request.query.getall("track", [])
    if len(given) != 1 or _TRACK.fullmatch(given[0]) is None:
        raise ApiError(400, "bad_value", f"track: expected a face's number, 1 to {MOST_TRACK}")
    return int(given[0])


def _asked_expression(request: web.Request) -> str | None:
    given = request.query.getall("expression", [])
    if not given:
        return None
    if len(given) != 1 or given[0] not in EXPRESSIONS:
        raise ApiError(400, "bad_value", f"expression: expected one of {', '.join(EXPRESSIONS)}")
    return given[0]


def _paused_face(pipeline: CameraPipeline, track: int) -> LastFace:
    """Returns the face to explain.

    Raises:
        ApiError: 409 the camera is running or its faces are hidden, 404 the face is not available.
    """
    if pipeline.controls.privacy != "none":
        message = "this camera's faces are hidden; set its privacy to none to explain one"
        raise ApiError(409, "private", message)
    if not pipeline.controls.paused:
        raise ApiError(409, "not_paused", "the camera is running; pause it to explain a face")
    face = pipeline.faces.find(track)
    if face is None:
        message = "that face is no longer available; resume, and pause when it is in view"
        raise ApiError(404, "unknown_face", message)
    return face


def _draw(
    explainer: Explainer, face: LastFace, expression: str, *, quality: int
) -> tuple[bytes, bool]:
    drawn = explainer.draw(face.crop, expression=expression)
    return encoding.jpeg(drawn.image, quality=quality), drawn.evidence
