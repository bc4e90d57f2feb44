"""The server behind a real nginx, configured with the snippet of docs/server.md."""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from server.settings import Limits
from tests.server.live_server import Answer, LiveServer, settings_of

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
pytestmark = pytest.mark.skipif(NGINX is None, reason="needs nginx: apt-get install nginx-light")

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
DOCS = Path(__file__).resolve().parents[3] / "docs" / "server.md"
TOKEN = "correct-horse-battery"
VISITORS = 17  # one more than the limit for one address
LOOPBACK = ipaddress.ip_network("127.0.0.1")


def snippets(port: int, *, location: str = "/") -> dict[str, str]:
    """The documented blocks, adapted to another port and path."""
    before, text = re.findall(r"```nginx\n(.*?)```", DOCS.read_text(), re.DOTALL)
    text = text.replace("http://127.0.0.1:8080", f"http://127.0.0.1:{port}")
    return {"before": before, "location": text.replace("location / {", f"location {location} {{")}


@contextlib.contextmanager
def nginx(folder: Path, location: str, *, before: str = "") -> Iterator[int]:
    """Runs nginx with these blocks inside and before its server block; yields its port."""
    assert NGINX is not None
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folders = "\n".join(
        f"{kind}_temp_path {folder}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = folder / "nginx.conf"
    user = (
        "user root; " if os.geteuid() == 0 else ""
    )  # otherwise another user, who cannot enter the folder
    config.write_text(
        f"{user}daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;\n"
        f"events {{}}\nhttp {{ access_log off;\n{folders}\n{before}\n"
        f"server {{ listen 127.0.0.1:{port};\n{location}\n}} }}\n"
    )
    command = [NGINX, "-p", str(folder), "-c", str(config), "-e", str(folder / "error.log")]
    with subprocess.Popen(command) as process:
        try:
            wait_for(port, process)
            yield port
        finally:
            process.terminate()


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            return
        except ConnectionRefusedError:
            assert process.poll() is None, "nginx ended"
            assert time.monotonic() < until, "nginx did not start"
            time.sleep(0.02)


def address_of(visitor: int) -> str:
    """The address of a visitor; every hundred share a network."""
    return f"127.0.{1 + visitor // 100}.{1 + visitor % 100}"


@contextlib.contextmanager
def asked(
    port: int,
    path: str,
    *,
    visitor: int = 0,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Iterator[http.client.HTTPResponse]:
    """The response that nginx passes on to one of many visitors, before its body is read."""
    connection = http.client.HTTPConnection(
        "127.0.0.1", port, timeout=30, source_address=(address_of(visitor), 0)
    )
    with contextlib.closing(connection):
        connection.request(method, path, body=body, headers=dict(headers or {}))
        yield connection.getresponse()


def ask(port: int, path: str, **options: Any) -> Answer:
    with asked(port, path, **options) as response:
        found = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, found, response.read())


def log_in(port: int, path: str, token: str, *, visitor: int = 0) -> Answer:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "text/html"}
    body = f"token={token}".encode()
    return ask(port, path, visitor=visitor, method="POST", body=body, headers=headers)


@pytest.fixture(scope="module")
def behind(checkpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of nginx in front of a server that trusts it."""
    settings = settings_of(checkpoint, "demo", token=TOKEN, trusted_proxies=(LOOPBACK,))
    folder = tmp_path_factory.mktemp("nginx")
    with LiveServer(settings) as server, nginx(folder, **snippets(server.port)) as port:
        server.wait_ready()
        yield port


def test_seventeen_viewers_through_nginx_are_seventeen_visitors(behind: int) -> None:
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    with contextlib.ExitStack() as stack:
        for visitor in range(VISITORS):
            answer = stack.enter_context(
                asked(behind, "/stream/demo.mjpg", visitor=visitor, headers=bearer)
            )
            assert answer.status == 200
            assert b"--fer-jax-frame" in answer.read(64)
        most = Limits().viewers_per_address
        for _ in range(most - 1):
            again = asked(behind, "/stream/demo.mjpg", visitor=0, headers=bearer)
            assert stack.enter_context(again).status == 200
        refused = ask(behind, "/stream/demo.mjpg", visitor=0, headers=bearer)
        assert (refused.status, refused.code) == (503, "too_many_viewers")


def test_one_address_cannot_take_all_connections_through_nginx(behind: int) -> None:
    unfinished = b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"
    with contextlib.ExitStack() as stack:
        for _ in range(128):
            bare = stack.enter_context(
                socket.create_connection(("127.0.0.1", behind), source_address=("127.0.1.91", 0))
            )
            bare.sendall(unfinished)
        until = time.monotonic() + 20
        while ask(behind, "/healthz", visitor=90).status != 503:  # also from 127.0.1.91
            assert time.monotonic() < until
        assert ask(behind, "/healthz", visitor=91).status == 200


def test_wrong_tokens_through_nginx_lock_nobody_else_out(behind: int) -> None:
    wrong = {"Authorization": "Bearer wrong"}
    statuses = [ask(behind, "/api/cameras", visitor=40, headers=wrong).status for _ in range(11)]
    assert statuses == 10 * [401] + [429]
    assert ask(behind, "/api/cameras", visitor=41, headers=wrong).status == 401
    right = {"Authorization": f"Bearer {TOKEN}"}
    for visitor in (40, 41):
        assert ask(behind, "/api/cameras", visitor=visitor, headers=right).status == 200


def test_a_visitor_cannot_spoof_an_address_through_nginx(behind: int) -> None:
    statuses = []
    for n in range(11):
        claimed = f"198.51.100.{n}"
        headers = {
            "Authorization": "Bearer wrong",
            "X-Forwarded-For": claimed,
            "Forwarded": f"for={claimed}",
        }
        statuses.append(ask(behind, "/api/cameras", visitor=50, headers=headers).status)
    assert statuses[-1] == 429


@pytest.fixture(scope="module", params=["left", "taken off"])
def below(
    request: pytest.FixtureRequest, checkpoint: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[int]:
    """The port of an nginx that serves the server below /fer and keeps or strips the prefix."""
    left = request.param == "left"
    settings = settings_of(
        checkpoint,
        token=TOKEN,
        trusted_proxies=(LOOPBACK,),
        path_prefix="/fer" if left else "",
    )
    with LiveServer(settings) as server:
        blocks = snippets(server.port, location="/fer/")
        if not left:
            bare = blocks["location"].replace(f":{server.port};", f":{server.port}/;")
            blocks["location"] = bare.replace('X-Forwarded-Prefix ""', "X-Forwarded-Prefix /fer")
        with nginx(tmp_path_factory.mktemp("nginx"), **blocks) as port:
            server.wait_ready()
            yield port


def test_everything_is_below_the_prefix(below: int) -> None:
    page = ask(below, "/fer/", headers={"Accept": "text/html"})
    assert (page.status, page.headers["location"]) == (303, "/fer/login")
    assert ask(below, "/fer/login").status == 200
    wrong = log_in(below, "/fer/login", "wrong")
    assert wrong.headers["location"] == "/fer/login?error=unauthorized"
    answer = log_in(below, "/fer/login", TOKEN)
    assert (answer.status, answer.headers["location"]) == (303, "/fer/")
    cookie, *attributes = answer.headers["set-cookie"].split("; ")
    assert "Path=/fer" in attributes
    own = {"Cookie": cookie}
    camera = ask(below, "/fer/api/cameras", headers=own).json["cameras"][0]
    assert camera["snapshot"].startswith("/fer/snapshot/")
    assert ask(below, camera["snapshot"]).headers["content-type"] == "image/jpeg"
    assert ask(below, "/fer/api/openapi.json", headers=own).json["servers"] == [{"url": "/fer"}]
    for path in re.findall(
        r'(?:href|src)="(static/[^"]+)"', ask(below, "/fer/login").body.decode()
    ):
        assert ask(below, f"/fer/{path}").status == 200, path
    assert ask(below, "/healthz").status in (403, 404), "no other path of nginx leads here"


def test_a_browser_uses_the_page_below_the_prefix(below: int) -> None:
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright")
    if CHROMIUM is None:
        pytest.skip("needs a Chromium: apt-get install chromium")
    fake_camera = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=fake_camera)
        page = browser.new_page()
        page.set_default_timeout(60_000)
        asked_for: list[str] = []
        page.on("request", lambda request: asked_for.append(request.url))
        page.on("websocket", lambda opened: asked_for.append(opened.url))
        page.goto(f"http://127.0.0.1:{below}/fer/?camera=demo")
        page.fill("#token", TOKEN)
        page.click("button[type=submit]")
        sync_api.expect(page.locator(".card-thumbnail:not(.empty)")).to_be_visible(timeout=60_000)
        page.click("#mirror")
        sync_api.expect(page.locator("#mirror")).to_have_attribute("aria-pressed", "true")
        with page.expect_websocket() as opened:
            page.click("#visitor")
        socket = opened.value
        socket.wait_for_event("framereceived")
        socket_url = socket.url
        browser.close()
    assert socket_url == f"ws://127.0.0.1:{below}/fer/ws/camera?camera=browser"
    assert any("/fer/stream/" in url for url in asked_for)
    outside = [
        url for url in asked_for if not url.split("//")[1].partition("/")[2].startswith("fer/")
    ]
    assert not [url for url in outside if not url.startswith(("data:", "blob:"))]
