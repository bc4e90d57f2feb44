"""GET /api/cameras, POST /api/cameras/{camera} and GET /snapshot/{camera}.jpg."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from fer_jax.expressions import COLOURS, EXPRESSIONS
from server.access.authorization import is_signed_in, role, signed_path
from server.access.keys import SETTINGS
from server.access.refusal import ApiError
from server.api.bodies import read_json
from server.live.camera_pipeline import CameraPipeline, Controls
from server.live.keys import KEPT_PRIVACY, PIPELINES, PREDICTOR
from server.live.orientation import ROTATIONS
from server.settings import Privacy

PRIVACY = typing.get_args(Privacy)
MOST_SMOOTHING_S = 60.0


def pipeline_of(request: web.Request) -> CameraPipeline:
    """Returns the pipeline of the camera in the address.

    Raises:
        ApiError: 404, no camera has that name.
    """
    return find_pipeline(request, request.match_info["camera"])


def find_pipeline(request: web.Request, name: str) -> CameraPipeline:
    """Returns a camera's pipeline; raises as `pipeline_of` does."""
    pipeline = request.app[PIPELINES].get(name)
    if pipeline is None:
        raise ApiError(404, "unknown_camera", "there is no such camera; see /api/cameras")
    return pipeline


async def cameras(request: web.Request) -> web.Response:
    """Lists all cameras and the labels."""
    return web.json_response(
        {
            "cameras": [camera_json(request, one) for one in request.app[PIPELINES].values()],
            "labels": EXPRESSIONS,
            "colours": dict(COLOURS),
            "uncertain_below": request.app[PREDICTOR].uncertain_below,
            "role": role(request),
            "signed_in": is_signed_in(request),
        }
    )


async def control(request: web.Request) -> web.Response:
    """Changes a camera's controls; responds with the updated camera."""
    pipeline = pipeline_of(request)
    body = await read_json(request, most=request.app[SETTINGS].limits.json_bytes)
    changes = checked_controls(body)
    before = pipeline.controls.privacy
    pipeline.set_controls(dataclasses.replace(pipeline.controls, **changes))
    if pipeline.controls.privacy != before:
        kept = request.app[KEPT_PRIVACY]
        await kept.keep(pipeline.camera.source, lambda: pipeline.controls.privacy)
    return web.json_response(camera_json(request, pipeline))


async def snapshot(request: web.Request) -> web.Response:
    """Responds with an image captured after the request arrived."""
    pipeline = pipeline_of(request)
    part = await pipeline.snapshot()
    headers = {"X-Timestamp": f"{part.wall_s:.6f}", "X-Frame": str(part.number)}
    return web.Response(body=part.jpeg, content_type="image/jpeg", headers=headers)


def camera_json(request: web.Request, pipeline: CameraPipeline) -> dict[str, Any]:
    """Returns a camera's JSON; viewers do not get its address, which may hold a secret."""
    camera = pipeline.camera
    source, state, controls = camera.source, camera.state, pipeline.controls
    width, height = state.width, state.height
    if controls.rotate in (90, 270):
        width, height = height, width
    return {
        "name": camera.name,
        "kind": source.kind,
        "source": source.masked if role(request) == "operator" else source.kind,
        "status": state.status,
        "reason": state.reason,
        "retry_in_s": None if state.retry_in_s is None else round(state.retry_in_s, 1),
        "width": width,
        "height": height,
        "fps": round(state.fps, 1),
        "frames": state.frames,
        "drops": state.drops,
        "reconnects": state.reconnects,
        "viewers": pipeline.viewers,
        "controls": dataclasses.asdict(controls),
        "recording_problem": pipeline.recorder.problem,
        "stream": signed_path(request, f"/stream/{camera.name}.mjpg"),
        "snapshot": signed_path(request, f"/snapshot/{camera.name}.jpg"),
    }


def checked_controls(body: Any) -> Mapping[str, Any]:
    """Returns the requested changes.

    Raises:
        ApiError: 400, not an object, an unknown key or an invalid value.
    """
    if not isinstance(body, dict):
        raise _bad("the body", "an object")
    for key, value in body.items():
        if key in ("mirror", "paused", "flip", "recording"):
            good, expected = isinstance(value, bool), "true or false"
        elif key == "rotate":
            good = isinstance(value, int) and not isinstance(value, bool) and value in ROTATIONS
            expected = f"one of {', '.join(map(str, ROTATIONS))}"
        elif key == "smoothing_s":
            good = _is_number(value, 0, MOST_SMOOTHING_S)
            expected = f"seconds from 0 to {MOST_SMOOTHING_S:g}"
        elif key == "threshold":
            good = value is None or _is_number(value, 0, 1)
            expected = "null or a number from 0 to 1"
        elif key == "privacy":
            good, expected = value in PRIVACY, f"one of {', '.join(PRIVACY)}"
        else:
            known = ", ".join(field.name for field in dataclasses.fields(Controls))
            raise _bad("a key", f"one of {known}")
        if not good:
            raise _bad(key, expected)
    return body


def _is_number(value: Any, least: float, most: float) -> bool:
    # Compared before anything else: an integer may have more digits than a float can hold.
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and least <= value <= most


def _bad(what: str, expected: str) -> ApiError:
    return ApiError(400, "bad_value", f"{what}: expected {expected}")
