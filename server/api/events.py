"""GET /api/events: the analysis of every frame and the cameras' states, as server-sent events.

For each camera only the newest event is queued: slow readers miss frames and never get old ones.
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
from server.api.visits import logged
from server.live.camera_pipeline import CameraPipeline
from server.live.keys import LIFECYCLE, PIPELINES

_HEADERS = {"Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no"}
_OPENING = b"retry: 1000\n\n"
_HEARTBEAT = b": still here\n\n"
_HEARTBEAT_S = 10.0
_TOLD = ("status", "reason", "width", "controls", "viewers", "recording_problem")
_CHECK_S = 1.0  # between checks of what has no event: controls, viewers, seconds until a retry


async def events(request: web.Request) -> web.StreamResponse:
    """Sends events of `?camera=NAME`, or of all, until the visitor leaves or the server stops."""
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
        where = f"events of {name or 'all cameras'}"
        with request.app[SOCKETS].stream(transport), logged(request, where):
            await _send_events(request, response, pipelines)
    return response


def message(event: str, data: object) -> bytes:
    """Returns one event in the stream's format."""
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
        with contextlib.suppress(ConnectionError):  # the visitor has left
            while not stopping.is_set():
                await response.write(b"".join(await waiting.take(_HEARTBEAT_S)))
                await request.writer.drain()
        for watcher in watchers:
            watcher.cancel()


class _Newest:
    """The newest message of each kind, in order of arrival."""

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
        """Waits for messages and takes them; returns a heartbeat after `seconds` without one."""
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
    """Sends the camera's state at once, after every change, and when an unannounced value changed."""
    camera, version, last = pipeline.camera, -1, None
    while True:
        shown = camera_json(request, pipeline)
        current = {key: shown[key] for key in _TOLD}
        if current != last or camera.version != version:
            last, version = current, camera.version
            waiting.put("camera", camera.name, message("camera", shown))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(camera.wait_changed(version), _CHECK_S)


async def _tell_end(stopping: asyncio.Event, waiting: _Newest) -> None:
    await stopping.wait()
    waiting.wake()
