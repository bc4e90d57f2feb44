"""The application: routes, middlewares and shutdown.

The live parts behind it, which start before the server listens, are in `server.startup`.
"""

from __future__ import annotations

import asyncio
import contextlib

from aiohttp import web

from server import startup
from server.access.admission import Admission
from server.access.attempts import Attempts
from server.access.authorization import token_holders_only
from server.access.keys import (
    ATTEMPTS,
    EVENTS,
    EXPLANATIONS,
    PROXIED,
    PROXIES,
    SESSIONS,
    SETTINGS,
    SIGNATURES,
    SOCKETS,
    STREAMS,
    TOKENS,
    UPLOADS,
)
from server.access.proxies import TrustedProxies
from server.access.security import add_headers, known_hosts_only, same_site_only
from server.access.sessions import Sessions
from server.access.signatures import Signatures
from server.access.stuck_sockets import StuckSockets
from server.access.tokens import Tokens
from server.access.visitors import require_tls, share_proxies
from server.api import browser, cameras, events, health, login, openapi, pages, score, stream, why
from server.api.errors import json_errors
from server.api.timing import timed
from server.live.keys import LIFECYCLE, METRICS, PREDICTOR
from server.live.lifecycle import Lifecycle
from server.live.metrics import Metrics
from server.settings import Settings

_FAREWELL_S = 1.0  # for streams to send their last bytes


def make_app(settings: Settings, *, draining: asyncio.Event | None = None) -> web.Application:
    """Returns the server without its socket; nothing starts before it is run.

    Args:
        settings: of the server.
        draining: set by the caller before the server is to stop.
    """
    app = web.Application(
        middlewares=[
            timed,
            json_errors,
            share_proxies,
            known_hosts_only(settings),
            same_site_only,
            token_holders_only,
        ]
    )
    limits = settings.limits
    app[SETTINGS] = settings
    app[LIFECYCLE] = Lifecycle(draining=draining or asyncio.Event())
    app[METRICS] = metrics = Metrics()
    app[TOKENS] = Tokens(operator=settings.token, viewer=settings.viewer_token)
    app[SESSIONS], app[SIGNATURES] = Sessions(), Signatures()
    app[ATTEMPTS] = Attempts(limits.login_attempts_per_minute)
    app[PROXIES] = TrustedProxies(settings.trusted_proxies)
    app[PROXIED] = Admission(
        "requests",
        most=limits.connections,
        most_per_address=limits.connections_per_address,
        status=503,
        code="too_many_connections",
    )
    app[SOCKETS] = StuckSockets(
        stuck_s=limits.stuck_viewer_s, on_close=lambda: metrics.rejected("slow_reader")
    )
    app[STREAMS] = _viewer_admission("viewers", settings)
    app[EVENTS] = _viewer_admission("listeners", settings)
    app[UPLOADS] = _work_admission(
        "requests with images", most=limits.uploads, each=limits.uploads_per_address
    )
    app[EXPLANATIONS] = _work_admission(
        "explanations in progress", most=limits.explanations, each=limits.explanations_per_address
    )
    app[pages.FILES] = pages.read_files()
    app.on_response_prepare.append(add_headers)
    app.on_response_prepare.append(require_tls)
    app.on_shutdown.append(_end_streams)
    app.cleanup_ctx.extend(startup.LIVE_PARTS)
    _add_routes(app)
    return app


def _work_admission(what: str, *, most: int, each: int) -> Admission:
    return Admission(what, most=most, most_per_address=each, status=429, code="overloaded")


def _viewer_admission(what: str, settings: Settings) -> Admission:
    limits = settings.limits
    return Admission(
        what,
        most=limits.viewers,
        most_per_address=limits.viewers_per_address,
        status=503,
        code="too_many_viewers",
    )


def _add_routes(app: web.Application) -> None:
    routes = [
        web.get("/", pages.index),
        web.get("/static/{path:.+}", pages.static),
        web.get("/login", login.login_page),
        web.post("/login", login.login),
        web.post("/logout", login.logout),
        web.get("/stream/{camera}.mjpg", stream.stream),
        web.get("/snapshot/{camera}.jpg", cameras.snapshot),
        web.get("/api/cameras", cameras.cameras),
        web.post("/api/cameras/{camera}", cameras.control),
        web.get("/api/cameras/{camera}/why", why.why),
        web.get("/api/events", events.events),
        web.post("/api/score", score.score),
        web.get("/api/openapi.json", openapi.openapi),
        web.get("/ws/camera", browser.camera_socket, allow_head=False),
        web.get("/healthz", health.healthz),
        web.get("/readyz", health.readyz),
        web.get("/metrics", health.metrics),
    ]
    app.add_routes(routes)
    # A proxy may remove the prefix or keep it.
    if prefix := app[SETTINGS].path_prefix:
        app.add_routes(
            web.RouteDef(one.method, prefix + one.path, one.handler, one.kwargs) for one in routes
        )
        app.add_routes([web.get(prefix, pages.to_index)])


async def _end_streams(app: web.Application) -> None:
    """Lets every stream send its last bytes, then closes the sockets that do not read them."""
    app[LIFECYCLE].stopping.set()
    app[PREDICTOR].stop_compiling()
    await startup.close_pipelines(app)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_FAREWELL_S):
            await app[STREAMS].wait_empty()
            await app[EVENTS].wait_empty()
    app[SOCKETS].close_stuck_streams()
