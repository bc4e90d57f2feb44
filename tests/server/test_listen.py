"""The end of a connection."""

from __future__ import annotations

import asyncio
import functools
import logging
from typing import Any

import pytest
from aiohttp import web

from server.access.admission import Admission
from server.access.refused_connections import RefusedConnections
from server.access.stuck_sockets import StuckSockets
from server.listen import Connection
from tests.server.live_server import settings_of


async def test_a_visitor_who_leaves_during_a_response_is_not_an_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    written: list[BaseException] = []

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        assert request.transport is not None
        request.transport.close()
        try:
            await response.write(b"late")
        except ConnectionError as error:
            written.append(error)
            raise
        return response

    loop = asyncio.get_running_loop()
    server = web.Server(handler, handler_cancellation=True)
    parts: tuple[Any, ...] = (
        Admission("connections", most=2, most_per_address=2, status=503, code="full"),
        StuckSockets(stuck_s=30, on_close=lambda: None),
        RefusedConnections(headers={}, on_refusal=lambda code: None),
        settings_of("", "demo"),
    )
    caplog.set_level(logging.WARNING)
    accepting = await loop.create_server(
        functools.partial(Connection, server, *parts, loop=loop), "127.0.0.1", 0
    )
    async with accepting:
        port = accepting.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"late" not in await reader.read()
        writer.close()
    await server.shutdown(1)
    assert written
    assert not caplog.records, caplog.text
