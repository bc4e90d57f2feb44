"""Checks of Host and origin: only known host names, no other web sites.

Middlewares and headers for every response. `Cross-Origin-Resource-Policy` and the Sec-Fetch checks keep
other sites from showing the cameras; the Host list prevents DNS rebinding.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import urllib.parse
from collections.abc import Mapping

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from server.access.refusal import ApiError
from server.access.visitors import visitor
from server.settings import Settings, is_loopback

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' blob: data:",
            "media-src 'self' blob:",
            "font-src 'self'",
            "connect-src 'self'",
            "manifest-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'self'",
        )
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Server": "fer_jax",
}

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?")
_CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Adds `HEADERS` to a response; an aiohttp signal, so that errors get them too."""
    del request
    response.headers.update(HEADERS)


class HostNames:
    """The names this server answers to.

    A server that listens beyond loopback also answers to any numeric address: rebinding needs a name.
    """

    def __init__(self, settings: Settings) -> None:
        """Reads the names from the settings."""
        self._loopback_only = is_loopback(settings.host)
        own = {settings.host, *settings.allowed_hosts, "localhost", "127.0.0.1", "::1"}
        if not self._loopback_only:
            own.add(socket.gethostname())
        self._names = {name.lower().rstrip(".") for name in own}

    def allows(self, host: str) -> bool:
        """Whether a Host header, port included, names this server."""
        match = _HOST.fullmatch(host)
        if match is None:
            return False
        name = match.group(1).strip("[]").lower().rstrip(".")
        if name in self._names:
            return True
        try:
            ip = ipaddress.ip_address(name)
        except ValueError:
            return False
        return not self._loopback_only or ip.is_loopback


def known_hosts_only(settings: Settings) -> Middleware:
    """Returns the middleware that refuses unknown Host headers."""
    names = HostNames(settings)

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        hosts = request.headers.getall(hdrs.HOST, [])
        # HTTP/1.0 has no Host. Browsers do not send HTTP/1.0, and only browsers can be rebound.
        if len(hosts) > 1 or (not hosts and request.version >= (1, 1)):
            raise ApiError(400, "bad_host", "expected one Host header")
        if hosts and not names.allows(hosts[0]):
            raise ApiError(
                403,
                "host_not_allowed",
                "this server does not answer to that name; start it with --allowed-host NAME",
            )
        return await handler(request)

    return check


@web.middleware
async def same_site_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuses a browser's requests on behalf of another site; opening a page by a link is allowed.

    Programs send neither Origin nor Sec-Fetch headers and have no cookies that could be misused.
    """
    site = request.headers.get("Sec-Fetch-Site", "none")
    opened = request.method in ("GET", "HEAD") and (
        request.headers.get("Sec-Fetch-Mode") == "navigate"
        and request.headers.get("Sec-Fetch-Dest", "document") == "document"
    )
    if site not in ("same-origin", "none") and not opened:
        raise ApiError(403, "cross_site", "other sites may not use this server")
    upgrade = hdrs.UPGRADE in request.headers
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is not None and (upgrade or request.method in _CHANGING):
        asked = _origin(origin)
        own = f"{visitor(request).scheme}://{request.headers.get(hdrs.HOST, '')}"
        if asked is None or asked != _origin(own):
            raise ApiError(403, "cross_site", _other_site(origin, own))
    return await handler(request)


def _other_site(origin: str, own: str) -> str:
    """Returns why an Origin is refused; a page over TLS may come through an undeclared proxy."""
    if origin.startswith("https://") and own.startswith("http://"):
        return (
            "a page over https may not use this server over http; "
            "start it with --trusted-proxy ADDRESS if a proxy adds the TLS"
        )
    return "other sites may not use this server"


def _origin(text: str) -> tuple[str, str, int] | None:
    """Returns scheme, host and port of an origin; None if it has none, as in "null"."""
    try:
        url = urllib.parse.urlsplit(text)
        port = url.port or {"http": 80, "https": 443}.get(url.scheme)
    except ValueError:
        return None
    return (url.scheme, url.hostname, port) if url.hostname and port else None
