"""Requests that name nothing, break HTTP or never end are refused in JSON, or hung up on."""

from __future__ import annotations

import json
import socket
import time

import pytest

from server.settings import Limits
from tests.server.live_server import LiveServer, read_all, settings_of


def test_an_unknown_path_or_method_is_refused_in_json(live: LiveServer):
    assert live.get("/nothing").code == "not_found"
    assert live.get("/snapshot/nobody.jpg").code == "unknown_camera"
    assert live.post_json("/api/cameras/nobody", {}).code == "unknown_camera"
    wrong = live.ask("DELETE", "/api/cameras")
    assert (wrong.status, wrong.code) == (405, "method_not_allowed")
    assert wrong.headers["allow"] == "GET, HEAD"
    assert live.get("/api/cameras", Expect="miracles").code == "expectation_failed"


@pytest.mark.parametrize(
    "request_",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 2000 + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /api/score HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_broken_http_is_refused_in_json(live: LiveServer, request_: bytes):
    with live.raw(request_) as bare:
        head, _, body = read_all(bare).partition(b"\r\n\r\n")
    assert b" 400 " in head.split(b"\r\n")[0]
    assert json.loads(body)["error"]["code"] == "bad_http"


def test_a_client_that_never_finishes_its_request_is_disconnected(checkpoint: str):
    limits = Limits(idle_connection_s=1.0, connections_per_address=4)
    with LiveServer(settings_of(checkpoint, "browser", limits=limits)) as server:
        with server.raw(b"GET / HTTP/1.1\r\nHost: loc") as bare:
            started_s = time.monotonic()
            assert read_all(bare) == b""
            assert time.monotonic() - started_s < 10
        held = [server.connect() for _ in range(4)]
        with server.connect() as fifth:
            head, _, body = read_all(fifth).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: 1" in head
        assert json.loads(body)["error"]["code"] == "too_many_connections"
        assert 'reason="too_many_connections"} 1.0' in exposition(server, held[0])
        for bare in held:
            bare.close()


def exposition(server: LiveServer, bare: socket.socket) -> str:
    """The server's figures, by a connection that is open already."""
    bare.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    return read_all(bare).decode()
