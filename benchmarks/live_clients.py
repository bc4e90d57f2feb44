"""A real server in its own process, and viewers that check every part they get.

Viewers come from many loopback addresses, because the server limits connections per address.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import http.client
import itertools
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import cv2
import numpy as np
import psutil
from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).resolve().parents[1]
BOUNDARY = b"--fer-jax-frame\r\n"
VIEWERS_AN_ADDRESS = 10
_DECODE_EVERY = 20  # decoding every part for a crowd would leave no core to the server


class Server:
    """`python -m server` on a free port of loopback."""

    def __init__(self, *argv: str) -> None:
        """Starts it and returns when it listens."""
        self.started_s = time.monotonic()
        line = [sys.executable, "-m", "server", "--port", "0", *argv]
        self.process = subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        port = re.search(r":(\d+)$", said.strip())
        if port is None:
            raise SystemExit("the server did not start; see its message above")
        self.port = int(port[1])
        self.listening_s = time.monotonic() - self.started_s

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(20)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def ask(
        self, path: str, *, body: bytes | None = None, kind: str = "image/jpeg", address: str = ""
    ) -> tuple[int, bytes]:
        """Returns status and body of a GET, or of a POST if there is a body."""
        source = (address, 0) if address else None
        client = http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=60, source_address=source
        )
        with contextlib.closing(client):
            headers = {} if body is None else {"Content-Type": kind}
            client.request("GET" if body is None else "POST", path, body=body, headers=headers)
            answer = client.getresponse()
            return answer.status, answer.read()

    def wait_ready(self) -> float:
        """Returns how many seconds after its start the server was ready."""
        while self.ask("/readyz")[0] != 200:
            time.sleep(0.02)
        return time.monotonic() - self.started_s

    def figure(self, name: str, **labels: str) -> float:
        """Returns the sum of a metric's samples that have these labels."""
        text = self.ask("/metrics")[1].decode()
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def memory(self) -> int:
        """Resident bytes of the server, without its cameras'."""
        return psutil.Process(self.process.pid).memory_info().rss

    def cpu_s(self) -> float:
        """CPU seconds of the server so far, without its cameras'."""
        times = psutil.Process(self.process.pid).cpu_times()
        return times.user + times.system

    def children(self) -> list[psutil.Process]:
        """The server's capture processes."""
        return psutil.Process(self.process.pid).children(recursive=True)


class Uploader:
    """Posts one photograph repeatedly on a kept-alive connection, as load generators do.

    The request's bytes are built once: client and server share the same cores.
    """

    def __init__(self, port: int, photo: bytes, *, address: str) -> None:
        """Connects from the loopback address `address`."""
        head = (
            "POST /api/score HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
            f"Content-Length: {len(photo)}\r\n\r\n"
        )
        self._request = head.encode() + photo
        self._to, self._from = ("127.0.0.1", port), (address, 0)
        self._connect()

    def post(self) -> int:
        """Returns the answer's status, 0 if none came."""
        try:
            self._socket.sendall(self._request)
            head = b""
            while b"\r\n\r\n" not in head:
                head += self._receive()
            head, _, body = head.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            missing = int(length[1]) - len(body) if length else 0
            while missing > 0:
                missing -= len(self._receive())
        except OSError:
            self.close()
            self._connect()
            return 0
        if b"\r\nConnection: close" in head:
            self.close()
            self._connect()
        return int(head.split(None, 2)[1])

    def close(self) -> None:
        """Hangs up."""
        self._socket.close()

    def _connect(self) -> None:
        self._socket = socket.create_connection(self._to, timeout=60, source_address=self._from)

    def _receive(self) -> bytes:
        if not (data := self._socket.recv(1 << 16)):
            raise ConnectionResetError("the server hung up")
        return data


@dataclasses.dataclass
class Seen:
    """What one viewer saw.

    Attributes:
        ages: seconds from each new frame's capture until its last byte had come.
        frames: new frames, repeats of a still image left out.
        torn: incomplete parts, or parts without a complete JPEG.
        first_s: seconds from connecting to the first whole part.
        ended: the server closed the connection.
    """

    ages: list[float] = dataclasses.field(default_factory=list)
    frames: int = 0
    torn: int = 0
    first_s: float = 0.0
    ended: bool = False


class Crowd:
    """Gives each viewer its address."""

    def __init__(self, port: int) -> None:
        """Viewers of the server at this port."""
        self._port = port
        self._numbers = itertools.count()

    async def connect(
        self, path: str, *, receive_buffer: int | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Opens a connection and asks for `path`, by HTTP/1.0."""
        address = f"127.0.1.{1 + next(self._numbers) // VIEWERS_AN_ADDRESS}"
        bare = socket.socket()
        if receive_buffer is not None:
            bare.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        bare.bind((address, 0))
        bare.setblocking(False)
        await asyncio.get_running_loop().sock_connect(bare, ("127.0.0.1", self._port))
        reader, writer = await asyncio.open_connection(sock=bare, limit=1 << 20)
        writer.write(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        return reader, writer

    async def watch(
        self, camera: str, seen: Seen, *, seconds: float, settle_s: float = 0.0
    ) -> None:
        """Watches a camera and records what is seen after `settle_s` seconds."""
        begun_s = time.monotonic()
        reader, writer = await self.connect(f"/stream/{camera}.mjpg?timing=1")
        last = None
        try:
            async with asyncio.timeout(settle_s + seconds):
                async for headers, jpeg in parts(reader, seen):
                    now = time.monotonic()
                    seen.first_s = seen.first_s or now - begun_s
                    if now - begun_s < settle_s or headers["X-Frame"] == last:
                        continue
                    last = headers["X-Frame"]
                    seen.frames += 1
                    seen.ages.append(now - float(headers["X-Captured"]))
                    if seen.frames % _DECODE_EVERY == 1 and not is_whole(jpeg):
                        seen.torn += 1
                seen.ended = True
        except TimeoutError:
            pass  # it has seen enough
        finally:
            writer.close()

    async def never_read(self, camera: str, *, seconds: float) -> None:
        """Requests images and reads none."""
        _, writer = await self.connect(f"/stream/{camera}.mjpg", receive_buffer=4096)
        transport = writer.transport
        assert isinstance(transport, asyncio.ReadTransport)
        transport.pause_reading()
        await asyncio.sleep(seconds)
        transport.abort()

    async def read_slowly(self, camera: str, *, seconds: float) -> None:
        """Reads about 30 kB per second, one image or less."""
        reader, writer = await self.connect(f"/stream/{camera}.mjpg", receive_buffer=16384)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while await reader.read(3000):  # noqa: ASYNC110 - no event to wait for when being slow
                    await asyncio.sleep(0.1)
        writer.transport.abort()


async def parts(
    reader: asyncio.StreamReader, seen: Seen
) -> AsyncIterator[tuple[dict[str, str], bytes]]:
    """Yields headers and image of each part; a stream may end between parts only."""
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 200 " not in head.split(b"\r\n", 1)[0]:
        raise SystemExit(f"the server answered {head[:200]!r}")
    await reader.readexactly(len(BOUNDARY))
    while True:
        try:
            lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            seen.torn += bool(getattr(error, "partial", b""))
            return
        headers = dict(line.split(": ", 1) for line in lines)
        try:
            jpeg = await reader.readexactly(int(headers["Content-Length"]))
            end = await reader.readexactly(2 + len(BOUNDARY))
        except (asyncio.IncompleteReadError, ConnectionError):
            seen.torn += 1
            return
        if end != b"\r\n" + BOUNDARY or not jpeg.startswith(b"\xff\xd8"):
            seen.torn += 1
        yield headers, jpeg


def is_whole(jpeg: bytes) -> bool:
    """Whether these bytes are a complete JPEG."""
    decoded = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    return jpeg.endswith(b"\xff\xd9") and decoded is not None


def percentile(values: list[float], share: float) -> float:
    """Returns the value that `share` per cent of the values do not exceed; nan if there are none."""
    return float(np.percentile(values, share)) if values else float("nan")


def every(seconds: float, *, until_s: float) -> Iterator[float]:
    """Yields monotonic times, that many seconds apart."""
    now = time.monotonic()
    while now < until_s:
        yield now
        now += seconds
