"""Logs who watches or sends a camera, and why each left."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator

from aiohttp import web

from server.access.keys import SESSIONS, SOCKETS
from server.access.visitors import SESSION, visitor
from server.live.keys import LIFECYCLE

_LOG = logging.getLogger(__name__)


@contextlib.contextmanager
def logged(request: web.Request, camera: str, *, who: str = "viewer") -> Iterator[None]:
    """Logs that somebody came, and at the end of the context why they left."""
    address, transport = visitor(request).address, request.transport
    _LOG.info("%s: a %s came from %s", camera, who, address)
    ended = False
    try:
        yield
        ended = True
    finally:
        reason = _reason(request, transport, ended=ended)
        _LOG.info("%s: the %s from %s left (%s)", camera, who, address, reason)


def _reason(request: web.Request, transport: asyncio.WriteTransport | None, *, ended: bool) -> str:
    session = request.get(SESSION, "")
    if request.app[LIFECYCLE].stopping.is_set():
        return "the server is stopping"
    if transport is not None and request.app[SOCKETS].has_closed(transport):
        return "read too slowly"
    if session and request.app[SESSIONS].named(session) is None:
        return "the session ended"
    return "the stream ended" if ended else "disconnected"
