"""GET /api/events: what is found in every frame, and how the cameras are doing, as server-sent events.

For each camera only the newest waits to be sent: who reads slowly misses frames and never gets old ones.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping

from aiohttp import web

from server.access.keys import EVENTS, SOCKETS
from server.access.stuck_sockets import buffer_little
from server.access.visitors import client
from server.api.cameras import camera_json, find_pipeline
from server.api.results import analysis_json
from server.live.camera_pipeline import CameraPipeline
from server.live.keys import LIFECYCLE, PIPELINES

_HEADERS = {"Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no"}
_OPENING = b"retry: 1000\n\n"
_HEARTBEAT = b": still here\n\n"
_HEARTBEAT_S = 10.0
_LOOK_S = 1.0  # at what has no event of its own: controls, viewers, seconds until a retry


async def events(request: web.Request) -> web.StreamResponse:
    """Sends events of `?camera=NAME`, or of all, until the visitor or the server goes."""
    name = request.query.get("camera")
    pipelines = request.app[PIPELINES] if name is None else {name: find_pipeline(request, name)}
    with request.app[EVENTS].admit(client(request)):
        response = web.StreamResponse(headers=_HEADERS)
        response.force_close()
        await response.prepare(request)
        transport = request.transport
        if request.method == "HEAD" or transport is None:
            return response
        buffer_little(transport)
        with request.app[SOCKETS].stream(transport):
            await _send_events(request, response, pipelines)
    return response


def message(event: str, data: object) -> bytes:
    """Returns one event as it goes down the stream."""
    return f"event: {event}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n".encode()


async def _send_events(
    request: web.Request, response: web.StreamResponse, pipelines: Mapping[str, CameraPipeline]
) -> None:
    stopping, waiting = request.app[LIFECYCLE].stopping, _Newest()
    await response.write(_OPENING)
    async with asyncio.TaskGroup() as tasks:
        watchers = [tasks.create_task(_tell_end(stopping, waiting))]
        for pipeline in pipelines.values():
            watchers.append(tasks.create_task(_watch_results(pipeline, waiting)))
            watchers.append(tasks.create_task(_watch_camera(request, pipeline, waiting)))
        with contextlib.suppress(ConnectionError):  # the visitor has gone
            while not stopping.is_set():
                await response.write(b"".join(await waiting.take(_HEARTBEAT_S)))
                await request.writer.drain()
        for watcher in watchers:
            watcher.cancel()


class _Newest:
    """The newest message of each kind, in the order in which they came."""

    def __init__(self) -> None:
        self._messages: dict[tuple[str, str], bytes] = {}
        self._filled = asyncio.Event()

    def put(self, kind: str, camera: str, text: bytes) -> None:
        self._messages.pop((kind, camera), None)
        self._messages[kind, camera] = text
        self._filled.set()

    def wake(self) -> None:
        self._filled.set()

    async def take(self, seconds: float) -> list[bytes]:
        """Waits for messages and takes them; a heartbeat when there are none for so long."""
        try:
            async with asyncio.timeout(seconds):
                await self._filled.wait()
        except TimeoutError:
            return [_HEARTBEAT]
        self._filled.clear()
        taken, self._messages = list(self._messages.values()), {}
        return taken


async def _watch_results(pipeline: CameraPipeline, waiting: _Newest) -> None:
    with pipeline.results.subscribe() as viewer:
        async for analysis in viewer:
            text = message("analysis", analysis_json(analysis, pipeline=pipeline))
            waiting.put("analysis", pipeline.camera.name, text)


async def _watch_camera(request: web.Request, pipeline: CameraPipeline, waiting: _Newest) -> None:
    """Tells of the camera at once, after every change, and when something without notice changed."""
    camera, version, last = pipeline.camera, -1, None
    while True:
        shown = camera_json(request, pipeline)
        told = {key: shown[key] for key in ("status", "reason", "width", "controls", "viewers")}
        if told != last or camera.version != version:
            last, version = told, camera.version
            waiting.put("camera", camera.name, message("camera", shown))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(camera.wait_changed(version), _LOOK_S)


async def _tell_end(stopping: asyncio.Event, waiting: _Newest) -> None:
    await stopping.wait()
    waiting.wake()
