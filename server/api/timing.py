"""Measures how long responses take, by route; the outermost middleware."""

from __future__ import annotations

import time

from aiohttp import web
from aiohttp.typedefs import Handler

from server.access.keys import SETTINGS
from server.live.keys import METRICS

# They last as long as the viewer watches.
_STREAMS = frozenset({"/stream/{camera}.mjpg", "/api/events", "/ws/camera"})
# Strangers can invent others; each would become a time series.
_METHODS = frozenset({"GET", "HEAD", "POST"})


@web.middleware
async def timed(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Records the duration of every non-streaming response."""
    started_s = time.monotonic()
    try:
        response = await handler(request)
    except web.HTTPException as redirect:
        _tell(request, status=redirect.status, seconds=time.monotonic() - started_s)
        raise
    _tell(request, status=response.status, seconds=time.monotonic() - started_s)
    return response


def _tell(request: web.Request, *, status: int, seconds: float) -> None:
    resource = request.match_info.route.resource
    route = "unknown" if resource is None else resource.canonical
    route = route.removeprefix(request.app[SETTINGS].path_prefix) or "/"
    method = request.method if request.method in _METHODS else "other"
    if route not in _STREAMS or status >= 400:
        request.app[METRICS].request_done(
            route=route, method=method, status=status, seconds=seconds
        )
