"""GET /api/openapi.json: every address of the server, its parameters, responses and errors."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from server.access.keys import SETTINGS
from server.access.visitors import visitor
from server.api import why
from server.api.schemas import SCHEMAS, reference
from server.live.keys import PIPELINES
from server.settings import Limits

_REASONS = {
    400: "The request is malformed.",
    401: "The token is missing or wrong.",
    403: "Sent by another web site, under another server's name, or by a viewer without permission.",
    404: "There is no such camera, file or face.",
    408: "The body arrived too slowly.",
    409: "Not possible in the camera's current state.",
    413: "More bytes, pixels or images than allowed.",
    415: "The body has an unsupported type.",
    422: "A damaged image.",
    426: "Not a WebSocket's opening handshake.",
    429: "Too many requests at a time, or too many wrong tokens.",
    503: "Unavailable: starting, stopping, too many viewers or connections.",
    504: "The answer took too long, or an image takes too long to decode.",
}
# A Host header that is missing or of another server, another web site, too many connections.
_ALWAYS = (400, 403, 503)
_GUARDED = (401, 429)


async def openapi(request: web.Request) -> web.Response:
    """Responds with the document."""
    settings = request.app[SETTINGS]
    text = document(
        cameras=tuple(request.app[PIPELINES]),
        limits=settings.limits,
        token=bool(settings.token),
        prefix=visitor(request).prefix,
    )
    return web.Response(text=text, content_type="application/json")


@functools.lru_cache(maxsize=1)
def document(*, cameras: tuple[str, ...], limits: Limits, token: bool, prefix: str = "") -> str:
    """Returns the OpenAPI 3.1 document of a server with these cameras below `prefix`, as JSON."""
    guarded = [{"token": []}, {"session": []}] if token else []
    return json.dumps(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "fer_jax live server",
                "version": "1",
                "description": "Cameras, the faces in them, and their expressions. "
                'Errors are {"error": {"code", "message"}}; codes are stable.',
            },
            "servers": [{"url": prefix or "/"}],
            "paths": _paths(cameras, limits),
            "components": {
                "schemas": SCHEMAS,
                "securitySchemes": {
                    "token": {"type": "http", "scheme": "bearer"},
                    "session": {"type": "apiKey", "in": "cookie", "name": "fer_session"},
                },
            },
            "security": guarded,
        }
    )


def _paths(cameras: tuple[str, ...], limits: Limits) -> dict[str, Any]:
    return {**_pages(), **_cameras(cameras), "/api/score": {"post": _score(limits)}, **_operators()}


def _pages() -> dict[str, Any]:
    page = _content("text/html")
    return {
        "/": {"get": _operation("The viewer.", page)},
        "/static/{path}": {
            "get": _operation(
                "One of the viewer's files.",
                _content("*/*"),
                [{"name": "path", "in": "path", "required": True, "schema": {"type": "string"}}],
                refusals=(404,),
                open_to_all=True,
            )
        },
        "/login": {
            "get": _operation(
                "A form for the token; with a token, the same as logging in.",
                page,
                [{"name": "token", "in": "query", "schema": {"type": "string"}}],
                refusals=(303,),
                open_to_all=True,
            ),
            "post": _operation(
                "Starts a session: a cookie in exchange for a token.",
                _json("Status"),
                body={
                    "application/x-www-form-urlencoded": {
                        "schema": {
                            "type": "object",
                            "properties": {"token": {"type": "string"}},
                            "required": ["token"],
                        }
                    }
                },
                refusals=(303, 401, 408, 413, 415, 429),
                open_to_all=True,
            ),
        },
        "/logout": {
            "post": _operation(
                "Ends the session, and the streams and WebSockets it has open.",
                _json("Status"),
                refusals=(303,),
            )
        },
    }


def _cameras(cameras: tuple[str, ...]) -> dict[str, Any]:
    names = {"type": "string", "enum": list(cameras)}
    camera = {"name": "camera", "in": "path", "required": True, "schema": names}
    which = {"name": "camera", "in": "query", "schema": names}
    return {
        "/stream/{camera}.mjpg": {
            "get": _operation(
                "The camera's image, live, as multipart/x-mixed-replace, with a box and label per face.",
                _content("multipart/x-mixed-replace"),
                [
                    camera,
                    _flag("bars", "Also draw the seven probabilities of each face."),
                    _flag(
                        "plain", "Draw nothing; X-Frame of each part is the number in the events."
                    ),
                    _flag("timing", "Add headers to each part with the seconds of each stage."),
                ],
                refusals=(404, 503),
            )
        },
        "/snapshot/{camera}.jpg": {
            "get": _operation("A fresh image.", _content("image/jpeg"), [camera], refusals=(404,))
        },
        "/api/cameras": {"get": _operation("All cameras.", _json("Cameras"))},
        "/api/cameras/{camera}": {
            "post": _operation(
                "Changes how a camera is shown.",
                _json("Camera"),
                [camera],
                body={"application/json": {"schema": reference("ControlChanges")}},
                refusals=(404, 408, 413, 415),
            )
        },
        "/api/cameras/{camera}/why": {
            "get": _operation(
                "Which areas of a paused camera's face support its expression, by Grad-CAM.",
                _content("image/jpeg"),
                [camera, *why.parameters()],
                refusals=(404, 409, 429, 503),
            )
        },
        "/api/events": {
            "get": _operation(
                "Server-sent events: `analysis` for each frame, `camera` for each change.",
                {"text/event-stream": {"schema": {"type": "string"}}},
                [which],
                refusals=(404, 503),
            )
        },
        "/ws/camera": {
            "get": _operation(
                "A WebSocket: JPEG images up, acknowledgements and `analysis` objects down.",
                None,
                [which],
                refusals=(404, 409, 426, 503),
            )
        },
    }


def _operators() -> dict[str, Any]:
    return {
        "/healthz": {
            "get": _operation("The server is running.", _json("Status"), open_to_all=True),
        },
        "/readyz": {
            "get": _operation(
                "The server is ready.", _json("Status"), refusals=(503,), open_to_all=True
            )
        },
        "/metrics": {"get": _operation("Metrics for Prometheus.", _content("text/plain"))},
        "/api/openapi.json": {
            "get": _operation(
                "This document.", {"application/json": {"schema": {"type": "object"}}}
            )
        },
    }


def _score(limits: Limits) -> dict[str, Any]:
    image = {"type": "string", "contentMediaType": "application/octet-stream"}
    form = {
        "type": "object",
        "properties": {"image": {"type": "array", "items": image}},
        "required": ["image"],
    }
    return _operation(
        f"Scores up to {limits.images_per_request} images; the body is one, or a form of several.",
        {**_json("Scores"), **_content("image/jpeg")},
        [_flag("annotate", "Respond with the one image, its faces marked.")],
        body={
            "image/jpeg": {"schema": image},
            "image/png": {"schema": image},
            "application/octet-stream": {"schema": image},
            "multipart/form-data": {"schema": form},
        },
        refusals=(408, 413, 415, 422, 429, 503, 504),
    )


def _operation(
    summary: str,
    content: Mapping[str, Any] | None,
    parameters: list[dict[str, Any]] | None = None,
    *,
    body: Mapping[str, Any] | None = None,
    refusals: tuple[int, ...] = (),
    open_to_all: bool = False,
) -> dict[str, Any]:
    """Returns one operation; `content` describes the 200 response, None means a WebSocket's 101."""
    good = {"200": {"description": "Done.", "content": content}} if content else {}
    responses: dict[str, Any] = good or {"101": {"description": "The WebSocket is open."}}
    statuses = {*refusals, *_ALWAYS, *(() if open_to_all else _GUARDED)}
    for status in sorted(statuses - {303}):
        responses[str(status)] = {"description": _REASONS[status], "content": _json("Error")}
    if 303 in statuses or (not open_to_all and content == _content("text/html")):
        responses["303"] = {"description": "A browser is redirected."}
    operation: dict[str, Any] = {"summary": summary, "responses": responses}
    if parameters:
        operation["parameters"] = parameters
    if body:
        operation["requestBody"] = {"required": True, "content": body}
    if open_to_all:
        operation["security"] = []
    return operation


def _content(kind: str) -> dict[str, Any]:
    return {kind: {}}


def _json(name: str) -> dict[str, Any]:
    return {"application/json": {"schema": reference(name)}}


def _flag(name: str, description: str) -> dict[str, Any]:
    schema = {"type": "integer", "enum": [0, 1], "default": 0}
    return {"name": name, "in": "query", "schema": schema, "description": description}
