"""WS /ws/camera: a visitor's own camera; the client sends JPEG images and receives results.

Each image is acknowledged once the pipeline has taken it. Clients should send the next one only then, so
that nothing queues.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, hdrs, web

from fer_jax.media.image_errors import BadImageError
from server.access.keys import EVENTS, SETTINGS, SOCKETS
from server.access.refusal import ApiError
from server.access.stuck_sockets import buffer_little
from server.access.visitors import client
from server.api.cameras import find_pipeline
from server.api.results import analysis_json
from server.api.visits import logged
from server.cameras.browser_camera import BrowserCamera, CameraBusyError, Visit
from server.live.camera_pipeline import CameraPipeline
from server.live.keys import LIFECYCLE

_HEARTBEAT_S = 10.0
_CLOSE_S = 2.0  # how long to wait for the visitor's closing handshake


async def camera_socket(request: web.Request) -> web.StreamResponse:
    """Receives a visitor's images for the camera `?camera=NAME`, by default "browser"."""
    pipeline = find_pipeline(request, request.query.get("camera", "browser"))
    camera = pipeline.camera
    if not isinstance(camera, BrowserCamera):
        raise ApiError(409, "not_a_browser_camera", "this camera takes no images from visitors")
    limits = request.app[SETTINGS].limits
    socket = web.WebSocketResponse(
        timeout=_CLOSE_S, heartbeat=_HEARTBEAT_S, compress=False, max_msg_size=limits.image_bytes
    )
    if request.headers.get(hdrs.UPGRADE, "").lower() != "websocket":
        headers = {"Upgrade": "websocket", "Connection": "Upgrade"}
        raise ApiError(
            426, "upgrade_required", "this address takes WebSockets only", headers=headers
        )
    with contextlib.ExitStack() as stack:
        stack.enter_context(request.app[EVENTS].admit(client(request)))
        try:
            visit = stack.enter_context(camera.visit())
        except CameraBusyError as error:
            raise ApiError(409, "camera_busy", str(error), retry_after_s=5) from None
        await socket.prepare(request)
        if request.transport is not None:
            buffer_little(request.transport)
            stack.enter_context(request.app[SOCKETS].stream(request.transport))
        stack.enter_context(logged(request, camera.name, who="visitor's camera"))
        await _serve(request, socket, pipeline, visit)
    return socket


async def _serve(
    request: web.Request, socket: web.WebSocketResponse, pipeline: CameraPipeline, visit: Visit
) -> None:
    stopping = request.app[LIFECYCLE].stopping
    async with asyncio.TaskGroup() as tasks:
        others = [
            tasks.create_task(_send_results(socket, pipeline, visit)),
            tasks.create_task(_close_at_end(socket, stopping)),
        ]
        with contextlib.suppress(ConnectionError):  # the visitor has gone
            await _take_images(socket, visit)
        for other in others:
            other.cancel()


async def _take_images(socket: web.WebSocketResponse, visit: Visit) -> None:
    async for message in socket:
        if message.type is not WSMsgType.BINARY:
            await _refuse(socket, "bad_message", "expected JPEG images as binary messages")
            return
        try:
            number = await visit.offer(message.data)
        except BadImageError as error:
            await _refuse(socket, "bad_image", str(error))
            return
        except CameraBusyError as error:
            await _refuse(socket, "camera_busy", str(error))
            return
        await socket.send_json({"type": "ack", "number": number})


async def _send_results(
    socket: web.WebSocketResponse, pipeline: CameraPipeline, visit: Visit
) -> None:
    with pipeline.results.subscribe(replay=False) as viewer, contextlib.suppress(ConnectionError):
        async for analysis in viewer:
            if analysis.captured_s < visit.since_s:
                continue  # the previous visitor's results are not for this one
            found: dict[str, Any] = analysis_json(analysis, pipeline=pipeline)
            await socket.send_json({"type": "analysis", **found})


async def _close_at_end(socket: web.WebSocketResponse, stopping: asyncio.Event) -> None:
    await stopping.wait()
    await socket.close(code=WSCloseCode.GOING_AWAY, message=b"the server is stopping")


async def _refuse(socket: web.WebSocketResponse, code: str, message: str) -> None:
    await socket.send_json({"type": "error", "code": code, "message": message})
    await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=code.encode())
