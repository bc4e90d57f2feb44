"""GET /healthz, /readyz and /metrics: for operators of the server."""

from __future__ import annotations

from aiohttp import web

from server.access.refusal import ApiError
from server.live.keys import LIFECYCLE, METRICS
from server.live.metrics import CONTENT_TYPE


async def healthz(request: web.Request) -> web.Response:
    """Responds while the event loop runs."""
    del request
    return web.json_response({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """Responds 200 if every batch size is compiled and the server is not stopping; otherwise 503."""
    lifecycle = request.app[LIFECYCLE]
    waits_for = lifecycle.waits_for
    if lifecycle.draining.is_set():
        waits_for = waits_for or "the server is about to stop; it still answers"
    if waits_for:
        raise ApiError(503, "not_ready", waits_for, retry_after_s=1)
    return web.json_response({"status": "ready"})


async def metrics(request: web.Request) -> web.Response:
    """Responds with all metrics, in Prometheus' text format."""
    return web.Response(
        body=request.app[METRICS].exposition(), headers={"Content-Type": CONTENT_TYPE}
    )
