"""Two servers behind one nginx, set up by deploy/nginx-replicas.conf.

Visitors return to the server that holds their session, and no request is lost when one leaves.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import re
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import NamedTuple

import aiohttp
import cv2
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from server.settings import Limits
from tests.faces.sample_media import PHOTO
from tests.server.api.test_browser import receive_until
from tests.server.live_server import LiveServer, settings_of
from tests.server.load import Load
from tests.server.test_main import ROOT, started
from tests.server.upload_samples import JPEG, saved
from tests.server.whole.test_nginx import (
    LOOPBACK,
    NGINX,
    TOKEN,
    address_of,
    ask,
    asked,
    log_in,
    nginx,
)

pytestmark = pytest.mark.skipif(NGINX is None, reason="needs nginx: apt-get install nginx-light")

CONFIG = ROOT / "deploy" / "nginx-replicas.conf"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
VISITORS = (0, 100, 200, 300)  # each from its own network, because nginx keeps networks together


def config(*ports: int) -> tuple[str, str]:
    """The file's lines before and inside the server block, for servers on this machine."""
    text = CONFIG.read_text()
    for n, port in enumerate(ports, 1):
        text = text.replace(f"10.0.0.{n}:8080", f"127.0.0.1:{port}")
    assert "10.0.0" not in text
    before, _, inside = text.partition("\nserver {")
    inside = inside.rstrip().removesuffix("}")
    return before, re.sub(r"(listen|server_name) .*", "", inside)


class Visitors(Load):
    """Visitors that score a photograph through nginx."""

    def __init__(self, port: int) -> None:
        super().__init__(visitors=2)
        self.statuses: collections.Counter[int | str] = collections.Counter()
        self._port = port

    def ask(self, visitor: int) -> None:
        body, headers = PHOTO.read_bytes(), {"Content-Type": "image/jpeg"}
        try:
            answer = ask(
                self._port,
                "/api/score",
                visitor=visitor,
                method="POST",
                body=body,
                headers=headers,
            )
            self.statuses[answer.status] += 1
        except OSError as error:
            self.statuses[repr(error)] += 1


def ready(port: int) -> bool:
    with contextlib.suppress(OSError):
        return ask(port, "/readyz").status == 200
    return False


def wait_ready(*ports: int) -> None:
    until = time.monotonic() + 120
    while not all(map(ready, ports)):
        assert time.monotonic() < until
        time.sleep(0.05)


@contextlib.contextmanager
def replica(checkpoint: str, *more: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    line = ("--source", "browser", "--checkpoint", checkpoint, "--trusted-proxy", "127.0.0.0/8")
    with started(*line, "--drain-s", "1.5", *more) as running:
        yield running


@pytest.mark.timeout(300)
def test_no_request_is_lost_when_one_of_two_servers_leaves_or_dies(
    checkpoint: str, tmp_path: Path
) -> None:
    with replica(checkpoint) as (leaving, first), replica(checkpoint) as (dying, second):
        before, inside = config(first, second)
        with contextlib.ExitStack() as back, nginx(tmp_path, inside, before=before) as port:
            wait_ready(first, second)
            with Visitors(port) as load:
                load.wait(6)
                leaving.send_signal(signal.SIGTERM)
                until = time.monotonic() + 30
                while ready(first):
                    assert time.monotonic() < until
                drained = ask(first, "/readyz")
                assert (drained.status, drained.code) == (503, "not_ready")
                served = ask(first, "/snapshot/none.jpg")
                assert served.status == 404, "it still answers"
                assert leaving.wait(60) == 0
                load.wait(6)
                back.enter_context(replica(checkpoint, "--port", str(first)))
                wait_ready(first)
                time.sleep(2.1)  # nginx retries a failed server after fail_timeout
                load.wait(6)
                dying.kill()
                load.wait(12)
            # 429 and 504 are valid responses, too, if the machine is busy with other tests.
            assert set(load.statuses) <= {200, 429, 504}, load.statuses
            assert load.statuses[200] > sum(load.statuses.values()) / 2


class Pair(NamedTuple):
    """nginx and the two servers behind it, which require a token."""

    port: int
    servers: tuple[LiveServer, LiveServer]

    def knowing(self, cookie: str) -> list[int]:
        """Which of the servers know a session."""
        statuses = [each.get("/api/cameras", Cookie=cookie).status for each in self.servers]
        assert set(statuses) <= {200, 401}
        return [k for k, status in enumerate(statuses) if status == 200]

    def answered(self, route: str) -> list[float]:
        """The number of requests that each server has answered."""
        return [
            _answered(each.get("/metrics", **BEARER).body.decode(), route) for each in self.servers
        ]


def _answered(metrics: str, route: str) -> float:
    return sum(
        sample.value
        for family in text_string_to_metric_families(metrics)
        for sample in family.samples
        if sample.name == "fer_http_request_seconds_count" and sample.labels["route"] == route
    )


@pytest.fixture(scope="module")
def pair(checkpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    settings = settings_of(
        checkpoint,
        token=TOKEN,
        trusted_proxies=(LOOPBACK,),
        limits=Limits(request_deadline_s=30.0),
    )
    with LiveServer(settings) as one, LiveServer(settings) as two:
        before, inside = config(one.port, two.port)
        with nginx(tmp_path_factory.mktemp("nginx"), inside, before=before) as port:
            one.wait_ready()
            two.wait_ready()
            yield Pair(port, (one, two))


def test_a_session_is_served_by_the_server_that_opened_it(pair: Pair) -> None:
    homes = []
    for visitor in VISITORS:
        cookie = log_in(pair.port, "/login", TOKEN, visitor=visitor).headers["set-cookie"]
        own = {"Cookie": cookie.partition(";")[0]}
        (home,) = pair.knowing(own["Cookie"])
        homes.append(home)
        cameras = ask(pair.port, "/api/cameras", visitor=visitor, headers=own)
        assert cameras.status == 200, visitor
        signed = next(
            each["snapshot"] for each in cameras.json["cameras"] if each["name"] == "demo"
        )
        for _ in range(3):  # alternating would show
            for path in ("/", "/stream/demo.mjpg", "/api/events", "/snapshot/demo.jpg"):
                with asked(pair.port, path, visitor=visitor, headers=own) as answer:
                    assert answer.status == 200, (visitor, path)
            assert ask(pair.port, signed, visitor=visitor).status == 200
            scored = ask(
                pair.port,
                "/api/score",
                visitor=visitor,
                method="POST",
                body=saved("JPEG"),
                headers=own | JPEG,
            )
            assert scored.status == 200
    assert set(homes) == {0, 1}


async def test_a_browsers_camera_is_shown_to_its_own_visitor(pair: Pair) -> None:
    """Each server has one such camera: two visitors at once each see their own image."""
    sizes = {VISITORS[0]: (320, 240), VISITORS[1]: (160, 120)}
    async with contextlib.AsyncExitStack() as stack:
        for visitor, size in sizes.items():
            up = await stack.enter_async_context(camera_of(pair, visitor))
            await up.send_bytes(saved("JPEG", size=size))
            found = (await receive_until("analysis", up))[-1]
            assert (found["width"], found["height"]) == size
        for visitor, size in sizes.items():
            for _ in range(3):
                assert await asyncio.to_thread(size_in_stream, pair, visitor) == size


@contextlib.asynccontextmanager
async def camera_of(pair: Pair, visitor: int) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    url = f"http://127.0.0.1:{pair.port}/ws/camera?camera=browser"
    own = aiohttp.TCPConnector(local_addr=(address_of(visitor), 0))
    async with (
        aiohttp.ClientSession(connector=own, headers=BEARER) as session,
        session.ws_connect(url) as up,
    ):
        yield up


def size_in_stream(pair: Pair, visitor: int) -> tuple[int, int]:
    """Width and height of the first image in a visitor's stream of the browser's camera."""
    path = "/stream/browser.mjpg"
    with asked(pair.port, path, visitor=visitor, headers=BEARER) as answer:
        assert answer.status == 200
        part = b""
        while b"\xff\xd9\r\n--" not in part:
            more = answer.read1()
            assert more, "the stream ended"
            part += more
    image = np.frombuffer(part[part.index(b"\xff\xd8") :], np.uint8)
    height, width, _ = cv2.imdecode(image, cv2.IMREAD_COLOR).shape
    return width, height


@pytest.mark.parametrize("path", ["/api/score", "/snapshot/demo.jpg"])
def test_requests_without_a_session_go_to_both_servers(pair: Pair, path: str) -> None:
    route = path.replace("demo", "{camera}")
    before = pair.answered(route)
    for _ in range(4):
        body = {"method": "POST", "body": saved("JPEG")} if path == "/api/score" else {}
        assert ask(pair.port, path, headers=BEARER | JPEG, **body).status == 200
    each = [now - then for now, then in zip(pair.answered(route), before, strict=True)]
    assert sum(each) == 4
    assert min(each) >= 1, "one server answered all"
