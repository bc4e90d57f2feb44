"""GET /stream/{camera}.mjpg: the camera's live image, as one endless multipart response.

Each face has its box and label; `?bars=1` adds the seven probabilities, `?plain=1` draws nothing and
numbers each frame in its part's `X-Frame`, the `number` of the events.

A viewer gets the newest image whenever its socket has taken the one before; a slow viewer skips images.
HTTP/1.0 clients get the plain bytes until the connection closes, others chunks.
"""

from __future__ import annotations

import time

from aiohttp import web

from server.access.keys import SOCKETS, STREAMS
from server.access.refusal import ApiError
from server.access.stuck_sockets import buffer_little
from server.access.visitors import client
from server.api.cameras import pipeline_of
from server.api.query import flag
from server.api.visits import logged
from server.live.broadcast import Kind
from server.live.camera_pipeline import CameraPipeline
from server.live.keys import METRICS, PARTS
from server.live.multipart import CONTENT_TYPE, OPENING

_HEADERS = {
    "Content-Type": CONTENT_TYPE,
    "X-Accel-Buffering": "no",  # nginx would buffer images
    "Pragma": "no-cache",
    "Age": "0",
}


async def stream(request: web.Request) -> web.StreamResponse:
    """Sends images until the viewer leaves or the server stops."""
    pipeline = pipeline_of(request)
    kind, timing = _asked_kind(request), flag(request.query, "timing")
    with request.app[STREAMS].admit(client(request)):
        response = web.StreamResponse(headers=_HEADERS)
        response.force_close()
        await response.prepare(request)
        transport = request.transport
        if request.method == "HEAD" or transport is None:
            return response
        buffer_little(transport)
        with request.app[SOCKETS].stream(transport), logged(request, pipeline.camera.name):
            await _send_images(request, response, pipeline, kind=kind, timing=timing)
    return response


def _asked_kind(request: web.Request) -> Kind:
    plain, bars = flag(request.query, "plain"), flag(request.query, "bars")
    if plain and bars:
        raise ApiError(400, "bad_value", "bars: a plain image has none; ask for plain or for bars")
    return "plain" if plain else "bars" if bars else "annotated"


async def _send_images(
    request: web.Request,
    response: web.StreamResponse,
    pipeline: CameraPipeline,
    *,
    kind: Kind,
    timing: bool,
) -> None:
    metrics, name = request.app[METRICS], pipeline.camera.name
    encoded = request.app[PARTS][name, kind, timing]
    last = 0
    await response.write(OPENING)
    with pipeline.streams[kind].subscribe() as viewer:
        async for part in viewer:
            await response.write(encoded.of(part))
            await request.writer.drain()
            if part.analysis is not None and part.number != last:
                skipped = part.number - last - 1 if last else 0
                age_s = time.monotonic() - part.captured_s
                metrics.frame_sent(name, age_s=age_s, skipped=max(0, skipped))
                last = part.number
