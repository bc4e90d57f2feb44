"""The visitor of a request, and what is counted and stored about them."""

from __future__ import annotations

import asyncio

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from server.access.admission import Client
from server.access.keys import PROXIED, PROXIES, SETTINGS
from server.access.proxies import Scheme, Visitor

_COOKIE = "fer_session"
# The name of the session that authenticates a request, if one does.
SESSION = web.RequestKey("session", str)
_VISITOR = web.RequestKey("visitor", Visitor)
_YEAR_S = 365 * 24 * 3600


def visitor(request: web.Request) -> Visitor:
    """Returns the visitor; for a request through a trusted proxy, the one the proxy reports."""
    known = request.get(_VISITOR)
    if known is None:
        scheme: Scheme = "https" if request.secure else "http"
        known = request[_VISITOR] = request.app[PROXIES].visitor(
            request.remote or "",
            request.headers,
            scheme=scheme,
            prefix=request.app[SETTINGS].path_prefix,
        )
    return known


def own_path(request: web.Request) -> str:
    """Returns the path of a request below the server's prefix, which a proxy may have removed."""
    prefix = request.app[SETTINGS].path_prefix
    if prefix and request.path.startswith(f"{prefix}/"):
        return request.path[len(prefix) :]
    return request.path


def visible_path(request: web.Request, path: str) -> str:
    """Returns a path of this server as the visitor's browser must request it."""
    return visitor(request).prefix + path


def client(request: web.Request) -> Client:
    """Returns the client that limits count a request under."""
    return Client(visitor(request).address, session=request.get(SESSION, ""))


def is_secure(request: web.Request) -> bool:
    """Whether the visitor's connection is encrypted, up to this server or up to a trusted proxy."""
    return visitor(request).scheme == "https"


def session_cookie(request: web.Request) -> str:
    """Returns the name of the session's cookie.

    Browsers accept a `__Host-` cookie only from this host over TLS: neither a sibling domain nor an
    attacker on the network can plant one. Its path must be "/"; below a prefix it is `__Secure-`.
    """
    if not is_secure(request):
        return _COOKIE
    return f"__Secure-{_COOKIE}" if visitor(request).prefix else f"__Host-{_COOKIE}"


async def require_tls(request: web.Request, response: web.StreamResponse) -> None:
    """Makes browsers that came over TLS return over TLS only; an aiohttp signal."""
    if is_secure(request):
        response.headers[hdrs.STRICT_TRANSPORT_SECURITY] = f"max-age={_YEAR_S}"


@web.middleware
async def share_proxies(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Limits the requests of each visitor behind a proxy, as connections limit them without one."""
    if not visitor(request).proxied:
        return await handler(request)
    admission = request.app[PROXIED]
    place = admission.enter(Client(visitor(request).address))
    # aiohttp handles a request in a task, which ends when the response is sent: later than the handler.
    task = asyncio.current_task()
    assert task is not None
    task.add_done_callback(lambda _: admission.leave(place))
    return await handler(request)
