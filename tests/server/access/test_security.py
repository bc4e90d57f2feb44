from __future__ import annotations

import http.client
from collections.abc import Iterator

import pytest

from server.access.security import HEADERS
from server.settings import Limits
from tests.server.live_server import LiveServer, read_until, settings_of

TOKEN = "correct horse battery"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def guarded(checkpoint: str) -> Iterator[LiveServer]:
    limits = Limits(login_attempts_per_minute=5)
    with LiveServer(settings_of(checkpoint, "demo", token=TOKEN, limits=limits)) as server:
        yield server


def log_in(server: LiveServer, token: str, **headers: str):
    headers = {"Content-Type": "application/x-www-form-urlencoded", **headers}
    return server.ask("POST", "/login", body=f"token={token}".encode(), headers=headers)


def test_without_the_token_nothing_is_shown(guarded: LiveServer):
    for path in (
        "/stream/demo.mjpg",
        "/snapshot/demo.jpg",
        "/api/cameras",
        "/api/cameras/demo/why?track=1",
        "/api/events",
        "/ws/camera",
        "/metrics",
        "/api/openapi.json",
        "/nothing",
        "/%2e/healthz",
        "/static",
    ):
        assert guarded.get(path).code == "unauthorized", path
    assert guarded.post_json("/api/cameras/demo", {"mirror": True}).code == "unauthorized"
    assert guarded.get("/api/cameras", Authorization="Basic abc").status == 401


def test_a_browser_without_the_token_is_sent_to_the_login_page(guarded: LiveServer):
    answer = guarded.get("/", Accept="text/html,*/*")
    assert (answer.status, answer.headers["location"]) == (303, "/login")
    page = guarded.get("/login")
    assert page.status == 200
    assert b'name="token"' in page.body


def test_the_token_is_accepted_as_a_header(guarded: LiveServer):
    assert guarded.get("/api/cameras", **BEARER).status == 200


def test_logging_in_sets_a_cookie_that_scripts_cannot_read(guarded: LiveServer):
    answer = log_in(guarded, TOKEN.replace(" ", "+"), Accept="text/html")
    assert (answer.status, answer.headers["location"]) == (303, "/")
    cookie, *attributes = answer.headers["set-cookie"].split("; ")
    assert {"HttpOnly", "Path=/", "SameSite=Lax"} <= set(attributes)
    assert TOKEN not in cookie
    assert guarded.get("/api/cameras", Cookie=cookie).status == 200


def test_a_signed_url_opens_itself_and_nothing_else(guarded: LiveServer):
    camera = guarded.get("/api/cameras", **BEARER).json["cameras"][0]
    assert guarded.get(camera["snapshot"]).headers["content-type"] == "image/jpeg"
    signature = camera["snapshot"].partition("?")[2]
    assert guarded.get(f"/api/cameras?{signature}").status == 401
    assert guarded.ask("POST", camera["snapshot"]).status == 401


def test_wrong_tokens_lock_an_address_out_but_not_its_sessions(checkpoint: str):
    limits = Limits(login_attempts_per_minute=3)
    with LiveServer(settings_of(checkpoint, "demo", token=TOKEN, limits=limits)) as server:
        cookie = log_in(server, TOKEN.replace(" ", "+")).headers["set-cookie"].partition(";")[0]
        for _ in range(2):
            assert server.get("/api/cameras", Authorization="Bearer wrong").code == "unauthorized"
        refused = log_in(server, "wrong", Accept="text/html")
        assert refused.headers["location"] == "/login?error=unauthorized"
        locked = server.get("/api/cameras", Authorization="Bearer wrong")
        assert locked.code == "too_many_attempts"
        assert 0 < int(locked.headers["retry-after"]) <= 60
        assert log_in(server, "wrong").status == 429
        assert server.get("/api/cameras", **BEARER).status == 200
        assert server.get("/api/cameras", Cookie=cookie).status == 200


def test_every_answer_carries_the_headers(live: LiveServer):
    for path in ("/", "/nothing", "/api/cameras", "/snapshot/demo.jpg", "/healthz", "/login"):
        headers = live.get(path).headers
        for name, value in HEADERS.items():
            assert headers[name.lower()] == value, (path, name)
        assert "access-control-allow-origin" not in headers
    policy = HEADERS["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    with live.raw(b"no http\r\n\r\n") as bare:
        head = read_until(bare, b"\r\n\r\n").decode()
        assert head.startswith("HTTP/1.0 400")
        assert "nosniff" in head


def test_requests_for_another_host_name_are_refused(live: LiveServer):
    assert live.get("/", Host="evil.example").code == "host_not_allowed"
    for request in (
        b"GET /healthz HTTP/1.1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
    ):
        with live.raw(request) as bare:
            assert b" 400 " in read_until(bare, b"\r\n")
    with live.raw(b"GET /healthz HTTP/1.0\r\n\r\n") as bare:
        assert b" 200 " in read_until(bare, b"\r\n")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
    ],
)
def test_other_sites_cannot_post(live: LiveServer, headers: dict[str, str]):
    assert live.post_json("/api/cameras/demo", {"mirror": True}, **headers).code == "cross_site"


def test_the_page_itself_can_post(live: LiveServer):
    origin = f"http://127.0.0.1:{live.port}"
    headers = {"Origin": origin, "Sec-Fetch-Site": "same-origin"}
    assert live.post_json("/api/cameras/demo", {"mirror": False}, **headers).status == 200


def test_other_sites_can_neither_show_a_camera_nor_open_a_socket(live: LiveServer):
    shown = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
    assert live.get("/stream/demo.mjpg", **shown).code == "cross_site"
    framed = {**shown, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}
    assert live.get("/", **framed).code == "cross_site"
    socket = {"Upgrade": "websocket", "Connection": "Upgrade", "Origin": "https://evil.example"}
    assert live.get("/ws/camera?camera=browser", **socket).code == "cross_site"


def test_a_link_on_another_site_opens_the_page(live: LiveServer):
    clicked = {
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Dest": "document",
    }
    assert live.get("/", **clicked).status == 200


def test_paths_reach_nothing_but_the_viewers_files(live: LiveServer):
    for path in ("/static/../settings.py", "/static/%2e%2e/settings.py", "/static//etc/passwd"):
        connection = http.client.HTTPConnection("127.0.0.1", live.port, timeout=10)
        connection.putrequest("GET", path)
        connection.endheaders()
        assert connection.getresponse().status == 404
        connection.close()
