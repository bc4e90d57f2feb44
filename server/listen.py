"""The server's socket: bound before anything slow starts, guarded against too many and too slow clients.

Errors that aiohttp sends by itself, such as for broken HTTP, are also converted to JSON here.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import socket
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

from fer_jax.errors import FerError
from fer_jax.machine.descriptors import free_descriptors
from server.access.admission import Admission, Client, Full
from server.access.keys import SOCKETS
from server.access.proxies import TrustedProxies
from server.access.refusal import ApiError
from server.access.refused_connections import MOST as MOST_REFUSED
from server.access.refused_connections import RefusedConnections
from server.access.security import HEADERS
from server.access.stuck_sockets import StuckSockets
from server.api.errors import from_http
from server.app import make_app
from server.live.keys import METRICS
from server.settings import Settings

# aiohttp waits this long for open responses, and as long again after cancelling them.
_LAST_ANSWERS_S = 1.2
_LINGER_S = 2.0  # to read the rest of a refused upload, so that the client reads the error
_BACKLOG = 256  # clients that may wait in the kernel
_ACCEPTED = 32  # of them accepted at a time, before any can be refused
# Other descriptors in use: connections not refused yet or being refused, images, libraries.
_OTHER_DESCRIPTORS = _ACCEPTED + MOST_REFUSED + 64
_LEAST_CONNECTIONS = 16

_LOG = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def listening(
    settings: Settings, *, draining: asyncio.Event | None = None
) -> AsyncIterator[str]:
    """Runs a server for the duration of the context and yields its URL.

    Leaving the context stops it within seconds. Before that, setting `draining` makes it
    ask balancers, by `/readyz`, to send their requests elsewhere.

    Raises:
        FerError: cannot listen on the address, or a part cannot start.
    """
    loop = asyncio.get_running_loop()
    with contextlib.closing(_bind(settings)) as bound:
        runner = web.AppRunner(
            make_app(settings, draining=draining),
            access_log=None,
            shutdown_timeout=_LAST_ANSWERS_S,
            handler_cancellation=True,
        )
        sockets = runner.app[SOCKETS]
        try:
            await runner.setup()
            assert runner.server is not None
            admission = _connection_admission(settings)
            refused = RefusedConnections(headers=HEADERS, on_refusal=runner.app[METRICS].rejected)
            try:
                accepting = await loop.create_server(
                    functools.partial(
                        Connection,
                        runner.server,
                        admission,
                        sockets,
                        refused,
                        settings,
                        loop=loop,
                    ),
                    sock=bound,
                    backlog=_ACCEPTED,
                )
                bound.listen(_BACKLOG)
            except OSError as error:  # another starting server had bound it too and was faster
                raise _taken(settings, error) from error
            try:
                yield _url(settings, port=bound.getsockname()[1])
            finally:
                accepting.close()
        finally:
            await runner.cleanup()


class Connection(web.RequestHandler):
    """One client's connection."""

    __slots__ = ("_admission", "_place", "_proxies", "_refused", "_sockets")

    def __init__(
        self,
        server: web.Server,
        admission: Admission,
        sockets: StuckSockets,
        refused: RefusedConnections,
        settings: Settings,
        *,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """Called by the loop for each client."""
        # The header must arrive within the keep-alive time too: until then the connection is idle.
        super().__init__(
            server,
            loop=loop,
            keepalive_timeout=settings.limits.idle_connection_s,
            lingering_time=_LINGER_S,
            access_log=None,  # pyright: ignore[reportArgumentType] - as documented
            auto_decompress=False,
        )
        self._admission, self._sockets, self._place = admission, sockets, None
        self._refused = refused
        self._proxies = TrustedProxies(settings.trusted_proxies)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Refuses the connection if there are too many."""
        assert isinstance(transport, asyncio.Transport)
        address = (transport.get_extra_info("peername") or ("",))[0]
        try:
            # Visitors behind a proxy are counted by request: see `share_proxies`.
            client = Client(address, shared=self._proxies.trusts(address))
            self._place = self._admission.enter(client)
        except Full as reason:
            self._refused.refuse(transport, reason)
            return
        self._sockets.add(transport)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Removes the client from the count."""
        if self.transport is not None:
            self._sockets.remove(self.transport)
        if self._place is not None:
            self._admission.leave(self._place)
            self._place = None
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Responds to requests that never reached a handler: mostly broken HTTP, which is not logged."""
        if isinstance(exc, ConnectionError):
            raise exc  # the visitor has disconnected
        if status >= 500:
            _LOG.error("a request failed", exc_info=exc)
        if request.writer.output_size:
            raise ConnectionResetError("the response had already started")
        code = "bad_http" if status < 500 else "internal_error"
        text = "not valid HTTP" if status < 500 else "the server failed; see its log"
        return self._last_words(ApiError(status, code, text))

    async def finish_response(self, request: web.BaseRequest, resp: Any, start_time: Any) -> Any:
        """Converts aiohttp's errors that passed no middleware, such as 417, to our form."""
        if isinstance(resp, web.HTTPException) and resp.status >= 400:
            resp = self._last_words(from_http(resp))
        return await super().finish_response(request, resp, start_time)

    def _last_words(self, refusal: ApiError) -> web.Response:
        response = refusal.response()
        response.headers.update(HEADERS)
        response.force_close()
        return response


def _connection_admission(settings: Settings) -> Admission:
    """Counts connections, so that accepting one never fails for lack of a descriptor."""
    limits = settings.limits
    room = max(_LEAST_CONNECTIONS, free_descriptors() - _OTHER_DESCRIPTORS)
    if room < limits.connections:
        _LOG.warning("the limit on open files leaves room for %d connections; see ulimit -n", room)
    return Admission(
        "connections",
        most=min(limits.connections, room),
        most_per_address=limits.connections_per_address,
        status=503,
        code="too_many_connections",
    )


def _bind(settings: Settings) -> socket.socket:
    """Returns a bound socket that does not listen yet; prefers IPv4 if a name has both."""
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)
        family, _, _, _, address = sorted(found, key=lambda one: one[0] != socket.AF_INET)[0]
        bound = socket.socket(family, socket.SOCK_STREAM)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
        except OSError:
            bound.close()
            raise
    except OSError as error:
        raise _taken(settings, error) from error
    return bound


def _taken(settings: Settings, error: OSError) -> FerError:
    reason = (error.strerror or str(error)).lower()
    return FerError(
        f"{settings.host}:{settings.port}: cannot listen on this address ({reason}); "
        "choose another --host or --port"
    )


def _url(settings: Settings, *, port: int) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{port}{settings.path_prefix}" + ("/" if settings.path_prefix else "")
