"""Sessions and roles: how they start and end, and what viewers may not do."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import socket
import time
from collections.abc import Iterator
from typing import cast

import pytest

from server.access.sessions import MOST, MOST_PER_ADDRESS, SESSION_S, Sessions
from server.settings import Limits
from tests.server.live_server import Answer, LiveServer, read_all, read_until, settings_of

OPERATOR, VIEWER = "correct horse battery", "only looking around"


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Transport(asyncio.WriteTransport):
    """Remembers whether it was aborted."""

    aborted = False

    def abort(self) -> None:
        self.aborted = True


def test_two_sessions_opened_at_once_differ() -> None:
    sessions = Sessions(now=Clock())
    first, second = (sessions.open("viewer", address="10.0.0.1") for _ in range(2))
    assert first != second
    assert len(first) >= 43, "256 bits"
    ended = sessions.find(first)
    assert ended is not None
    sessions.end(ended)
    assert sessions.find(first) is None
    assert sessions.find(second) is not None


def test_a_session_expires_after_some_hours() -> None:
    clock = Clock()
    sessions = Sessions(now=clock)
    value = sessions.open("operator", address="10.0.0.1")
    found, transport = sessions.find(value), Transport()
    assert found is not None
    with found.answering(transport):
        clock.now += SESSION_S
        assert sessions.find(value) is None
        sessions.end_old()
        assert transport.aborted, "a stream does not outlive its session"


def test_the_oldest_session_of_an_address_makes_room() -> None:
    sessions = Sessions(now=Clock())
    other = sessions.open("viewer", address="10.0.0.2")
    values = [sessions.open("viewer", address="10.0.0.1") for _ in range(MOST_PER_ADDRESS + 1)]
    assert sessions.find(values[0]) is None
    assert sessions.find(values[1]) is not None
    assert sessions.find(other) is not None


def test_no_number_of_viewers_logs_an_operator_out() -> None:
    sessions = Sessions(now=Clock())
    operator = sessions.open("operator", address="10.0.0.1")
    for _ in range(2 * MOST_PER_ADDRESS):
        sessions.open("viewer", address="10.0.0.1")
    for n in range(MOST + 5):
        sessions.open("viewer", address=f"10.1.{n >> 8}.{n & 255}")
    assert sessions.find(operator) is not None


def test_the_number_of_sessions_is_limited() -> None:
    sessions = Sessions(now=Clock())
    values = [sessions.open("viewer", address=f"10.0.{n >> 8}.{n & 255}") for n in range(MOST + 5)]
    assert sum(sessions.find(value) is not None for value in values) == MOST
    assert all(sessions.find(value) is None for value in values[:5])


def test_ending_a_session_closes_all_connections_but_the_one_that_asked() -> None:
    sessions = Sessions(now=Clock())
    session = sessions.find(sessions.open("viewer", address="10.0.0.1"))
    assert session is not None
    stream, asking, over = Transport(), Transport(), Transport()
    with session.answering(over):
        pass
    with session.answering(stream), session.answering(asking), session.answering(None):
        sessions.end(session, but=cast(asyncio.BaseTransport, asking))
    assert (stream.aborted, asking.aborted, over.aborted) == (True, False, False)


@pytest.fixture(scope="module")
def guarded(checkpoint: str) -> Iterator[LiveServer]:
    limits = Limits(login_attempts_per_minute=1000)
    settings = settings_of(
        checkpoint, token=OPERATOR, viewer_token=VIEWER, privacy="pixelate", limits=limits
    )
    with LiveServer(settings) as server:
        yield server


def log_in(server: LiveServer, token: str) -> dict[str, str]:
    """The headers of a request with a new session's cookie."""
    answer = server.ask(
        "POST",
        "/login",
        body=f"token={token.replace(' ', '+')}".encode(),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert answer.status == 200
    return {"Cookie": answer.headers["set-cookie"].partition(";")[0]}


@contextlib.contextmanager
def opened(server: LiveServer, path: str, *lines: str) -> Iterator[socket.socket]:
    """A long request, after its response header."""
    head = "\r\n".join((f"GET {path} HTTP/1.1", "Host: localhost", *lines))
    with server.raw(f"{head}\r\n\r\n".encode()) as bare:
        assert read_until(bare, b"\r\n\r\n").split()[1] in (b"200", b"101")
        yield bare


def is_cut(bare: socket.socket) -> bool:
    """Whether the connection ends before its response does."""
    try:
        return not read_all(bare).endswith(b"0\r\n\r\n")
    except ConnectionResetError:
        return True


def test_a_cookie_does_not_work_after_logout(guarded: LiveServer) -> None:
    mine, others = log_in(guarded, OPERATOR), log_in(guarded, OPERATOR)
    assert mine != others
    assert guarded.ask("POST", "/logout", headers=mine).status == 200
    assert guarded.get("/api/cameras", **mine).code == "unauthorized"
    assert guarded.get("/api/cameras", **others).status == 200


def test_logging_out_ends_streams_events_sockets_and_signed_addresses_at_once(
    guarded: LiveServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="server")
    mine = log_in(guarded, OPERATOR)
    cookie = f"Cookie: {mine['Cookie']}"
    signed = guarded.get("/api/cameras", **mine).json["cameras"][0]["stream"]
    upgrade = (
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    )
    with (
        opened(guarded, "/stream/demo.mjpg", cookie) as stream,
        opened(guarded, "/api/events", cookie) as events,
        opened(guarded, "/ws/camera", cookie, *upgrade) as camera,
        opened(guarded, signed) as image,
    ):
        assert guarded.ask("POST", "/logout", headers=mine).status == 200
        assert all(is_cut(bare) for bare in (stream, events, camera, image))
    assert guarded.get(signed).status == 401
    for left in ("demo: the viewer", "events of all cameras: the viewer", "browser: the visitor's"):
        until = time.monotonic() + 20
        while not re.search(rf"{left}.* left \(the session ended\)", caplog.text):
            assert time.monotonic() < until, caplog.text


def test_viewers_can_watch_but_change_nothing(guarded: LiveServer) -> None:
    for headers in (log_in(guarded, VIEWER), {"Authorization": f"Bearer {VIEWER}"}):
        listed = guarded.get("/api/cameras", **headers).json
        assert listed["role"] == "viewer"
        assert listed["signed_in"] == ("Cookie" in headers)
        assert guarded.get("/snapshot/demo.jpg", **headers).status == 200
        for change in ({"mirror": True}, {"privacy": "none"}, {"paused": True}, {}):
            refused = guarded.post_json("/api/cameras/demo", change, **headers)
            assert (refused.status, refused.code) == (403, "operators_only")
            assert "\n" not in refused.json["error"]["message"]
        assert guarded.get("/ws/camera", **headers).code == "operators_only"
        for method in ("PUT", "PATCH", "DELETE", "POST"):
            assert guarded.ask(method, "/anything/else", headers=headers).status == 403
    assert (
        guarded.get("/api/cameras", Authorization=f"Bearer {OPERATOR}").json["role"] == "operator"
    )


def test_viewers_do_not_see_where_a_camera_is(checkpoint: str) -> None:
    source = "door=rtsp://127.0.0.1:1/secret/stream-key"
    tokens = {"token": OPERATOR, "viewer_token": VIEWER}
    with LiveServer(settings_of(checkpoint, source, "demo", **tokens)) as server:
        seen = server.get("/api/cameras", Authorization=f"Bearer {VIEWER}")
        assert b"stream-key" not in seen.body
        assert seen.json["cameras"][0]["source"] == "network"


def test_only_operators_can_lift_the_privacy_that_a_server_starts_with(guarded: LiveServer) -> None:
    def privacy(answer: Answer) -> str:
        return answer.json["cameras"][0]["controls"]["privacy"]

    viewer = {"Authorization": f"Bearer {VIEWER}"}
    operator = {"Authorization": f"Bearer {OPERATOR}"}
    assert privacy(guarded.get("/api/cameras", **viewer)) == "pixelate"
    assert guarded.post_json("/api/cameras/demo", {"privacy": "none"}, **viewer).status == 403
    assert privacy(guarded.get("/api/cameras", **viewer)) == "pixelate"
    assert guarded.post_json("/api/cameras/demo", {"privacy": "none"}, **operator).status == 200
    assert privacy(guarded.get("/api/cameras", **viewer)) == "none"
    guarded.post_json("/api/cameras/demo", {"privacy": "pixelate"}, **operator)


def test_a_url_with_the_token_logs_in_and_redirects_at_once(
    guarded: LiveServer, caplog: pytest.LogCaptureFixture
) -> None:
    token = OPERATOR.replace(" ", "%20")
    with caplog.at_level(logging.DEBUG):
        answer = guarded.get(f"/login?token={token}", Accept="text/html")
        assert (answer.status, answer.headers["location"]) == (303, "/")
        cookie = {"Cookie": answer.headers["set-cookie"].partition(";")[0]}
        assert guarded.get("/api/cameras", **cookie).json["role"] == "operator"
        wrong = guarded.get("/login?token=wrong-token", Accept="text/html")
    assert wrong.headers["location"] == "/login?error=unauthorized"
    assert "set-cookie" not in wrong.headers
    assert OPERATOR not in caplog.text
    assert token not in caplog.text
    assert "wrong-token" not in caplog.text


def test_people_behind_one_address_have_separate_limits_by_session(checkpoint: str) -> None:
    settings = settings_of(checkpoint, "demo", token=OPERATOR, limits=Limits(viewers_per_address=2))
    with LiveServer(settings) as server, contextlib.ExitStack() as stack:
        for _ in range(3):
            mine = log_in(server, OPERATOR)
            for _ in range(2):
                cookie = f"Cookie: {mine['Cookie']}"
                stack.enter_context(opened(server, "/stream/demo.mjpg", cookie))
            assert server.get("/stream/demo.mjpg", **mine).code == "too_many_viewers"


def test_without_a_token_everybody_is_an_operator(live: LiveServer) -> None:
    assert live.get("/api/cameras").json["role"] == "operator"
    assert live.ask("POST", "/logout").status == 200
