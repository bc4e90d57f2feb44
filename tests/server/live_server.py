"""A real server on a real socket, run by a test thread, and plain clients for it."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
import threading
import time
import urllib.parse
from collections.abc import Generator, Iterator, Mapping
from typing import Any, NamedTuple

from server.cameras.options import parse_source
from server.listen import listening
from server.settings import Limits, Settings

TIMEOUT_S = 60.0


class Answer(NamedTuple):
    """A response; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The stable code of a refusal."""
        assert self.headers["content-type"].startswith("application/json")
        assert set(self.json) == {"error"}
        assert set(self.json["error"]) == {"code", "message"}
        return self.json["error"]["code"]


class LiveServer:
    """A server and requests to it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.port = 0
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="live server")

    def __enter__(self) -> LiveServer:
        self._thread.start()
        self._started.wait(120)
        if self._failure is not None:
            raise self._failure
        assert self.port, "the server did not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)
        assert not self._thread.is_alive(), "the server did not end"
        if self._failure is not None:
            raise self._failure

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, headers=headers)

    def post_json(self, path: str, body: object, **headers: str) -> Answer:
        headers = {"Content-Type": "application/json", **headers}
        return self.ask("POST", path, body=json.dumps(body).encode(), headers=headers)

    def ask(
        self, method: str, path: str, *, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Sends one request on a new connection; header names may have _ for -."""
        return ask_at(self.port, method, path, body=body, headers=headers)

    def connect(self, *, receive_buffer: int | None = None) -> socket.socket:
        """A bare connection."""
        bare = socket.socket()
        if receive_buffer is not None:
            bare.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        bare.settimeout(TIMEOUT_S)
        bare.connect(("127.0.0.1", self.port))
        return bare

    @contextlib.contextmanager
    def raw(self, request: bytes, **options: Any) -> Iterator[socket.socket]:
        """A bare connection that has sent these bytes."""
        with self.connect(**options) as bare:
            bare.sendall(request)
            yield bare

    def wait_ready(self) -> None:
        until = time.monotonic() + 120
        while self.get("/readyz").status != 200:
            assert time.monotonic() < until, "the server did not get ready"
            time.sleep(0.1)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - raised again by the test's thread
            self._failure = error
        finally:
            self._started.set()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with listening(self.settings) as url:
            self.port = urllib.parse.urlsplit(url).port or 0
            self._started.set()
            await self._stop.wait()


def ask_at(
    port: int,
    method: str,
    path: str,
    *,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Sends one request to a port of this machine; see `LiveServer.ask`."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    with contextlib.closing(connection):
        named = {name.replace("_", "-"): value for name, value in (headers or {}).items()}
        connection.request(method, path, body=body, headers=named)
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, found, response.read())


def settings_of(checkpoint: str, *sources: str, **changes: Any) -> Settings:
    """Settings of a small, quick server; `changes` override fields of `Settings`."""
    made = tuple(parse_source(text) for text in sources or ("demo", "browser"))
    usual: dict[str, Any] = {"width": 320, "height": 240, "fps": 15.0, "port": 0}
    return Settings(sources=made, checkpoint=checkpoint, **{**usual, **changes})


def events(server: LiveServer, path: str = "/api/events") -> Generator[tuple[str, Any]]:
    """Yields (event, data) from a stream of server-sent events."""
    request = f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode()
    with server.raw(request) as bare:
        assert b"text/event-stream" in read_until(bare, b"\r\n\r\n")
        while True:
            lines = read_until(bare, b"\n\n").decode().strip().split("\n")
            fields = dict(line.split(": ", 1) for line in lines)
            if "event" in fields:
                yield fields["event"], json.loads(fields["data"])


def read_until(bare: socket.socket, end: bytes, *, most: int = 1 << 20) -> bytes:
    """Reads up to `end`; fails if the connection ends before."""
    data = b""
    while end not in data:
        chunk = bare.recv(1)
        assert chunk, f"the connection ended after {data[-200:]!r}"
        data += chunk
        assert len(data) < most
    return data


def read_exactly(bare: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        chunk = bare.recv(count - len(data))
        assert chunk, "the connection ended"
        data += chunk
    return data


def read_all(bare: socket.socket) -> bytes:
    """Reads until the other end closes."""
    data = b""
    while chunk := bare.recv(1 << 16):
        data += chunk
    return data


__all__ = [
    "Answer",
    "Limits",
    "LiveServer",
    "ask_at",
    "events",
    "read_all",
    "read_exactly",
    "read_until",
    "settings_of",
]
