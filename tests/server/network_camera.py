"""Small HTTP and RTSP cameras in threads that can be unplugged and plugged in, hang and refuse."""

from __future__ import annotations

import base64
import contextlib
import itertools
import socket
import struct
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from socketserver import BaseRequestHandler, StreamRequestHandler, ThreadingTCPServer
from typing import ClassVar

import cv2
import numpy as np

HEIGHT, WIDTH = 48, 64


def unsupported(jpeg: bytes) -> bytes:
    """A JPEG with a chroma subsampling that FFmpeg does not support."""
    at = jpeg.index(b"\xff\xc0") + 11
    return jpeg[:at] + b"\x44" + jpeg[at + 1 :]


# What cameras occasionally send in place of an image.
_BAD = (
    unsupported,
    lambda jpeg: b"\0" * len(jpeg),
    lambda jpeg: jpeg[:40],
    lambda jpeg: b"",
    lambda jpeg: jpeg[: len(jpeg) // 2] + b"\r\n\xff\0" * 20,
)


class NetworkCamera:
    """Sends moving grey images of 64 x 48 at `fps` to every client, from `plug_in` to `unplug`."""

    address: ClassVar[str]

    def __init__(self, *, fps: float = 25.0, status: int = 200, bad_every: int = 0) -> None:
        self.fps, self.status, self.bad_every = fps, status, bad_every
        self.location = ""
        self.hangs, self.turned = threading.Event(), threading.Event()
        self._port = 0
        self._server: ThreadingTCPServer | None = None
        self._sockets: list[socket.socket] = []
        self.plug_in()

    @property
    def where(self) -> str:
        return self.address.format(self._port)

    def plug_in(self) -> None:
        camera = self

        class Server(ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = False  # closing waits for them: other tests count threads

            def get_request(self) -> tuple[socket.socket, object]:
                connection, address = super().get_request()
                camera._sockets.append(connection)
                return connection, address

            def handle_error(self, *_: object) -> None:
                pass

        self._server = Server(("127.0.0.1", self._port), self._handler())
        self._port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def unplug(self) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        server.shutdown()
        self._thread.join()
        for connection in self._sockets:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._sockets.clear()
        server.server_close()

    def _handler(self) -> type[BaseRequestHandler]:
        raise NotImplementedError

    def _images(self) -> Iterator[bytes]:
        """Yields JPEGs at the camera's pace."""
        for number in itertools.count(1):
            if self._server is None:
                return
            if not self.hangs.is_set():
                size = (WIDTH, HEIGHT) if self.turned.is_set() else (HEIGHT, WIDTH)
                image = np.full((*size, 3), number * 8 % 256, np.uint8)
                jpeg = cv2.imencode(".jpg", image)[1].tobytes()
                bad = self.bad_every and number % self.bad_every == 0
                yield _BAD[number // self.bad_every % len(_BAD)](jpeg) if bad else jpeg
            time.sleep(1 / self.fps)


class HttpCamera(NetworkCamera):
    """Answers GET."""

    def _handler(self) -> type[BaseRequestHandler]:
        camera = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with contextlib.suppress(OSError):
                    camera._serve(self)

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def _serve(self, request: BaseHTTPRequestHandler) -> None:
        raise NotImplementedError


class MjpegCamera(HttpCamera):
    """Sends JPEGs by HTTP, one after the other."""

    address = "http://user:secret@127.0.0.1:{}/video.mjpg"

    def _serve(self, request: BaseHTTPRequestHandler) -> None:
        request.send_response(self.status)
        if self.status != 200:
            request.send_header("Location", self.location)
            request.end_headers()
            return
        request.send_header("Content-Type", "multipart/x-mixed-replace; boundary=b")
        request.end_headers()
        for jpeg in self._images():
            head = f"--b\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            request.wfile.write(head.encode() + jpeg + b"\r\n")


class RtspCamera(NetworkCamera):
    """Sends JPEGs by RTSP (RFC 2326), as RTP packets (RFC 2435) between responses on one connection."""

    address = "rtsp://user:secret@127.0.0.1:{}/video"

    _DESCRIPTION = (
        "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\n"
        "m=video 0 RTP/AVP 26\r\na=control:video\r\n"
    )

    def _handler(self) -> type[BaseRequestHandler]:
        camera = self

        class Handler(StreamRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError):
                    camera._serve(self)

        return Handler

    def _serve(self, request: StreamRequestHandler) -> None:
        while line := request.rfile.readline():
            method, headers = line.split()[0], {}
            while text := request.rfile.readline().decode().strip():
                name, _, headers[name.lower()] = text.partition(": ")
            said = {"CSeq": headers["cseq"], "Session": "1"}
            body = ""
            if method == b"OPTIONS":
                said["Public"] = "DESCRIBE, SETUP, PLAY, TEARDOWN"
            elif method == b"DESCRIBE":
                said["Content-Type"], body = "application/sdp", self._DESCRIPTION
            elif method == b"SETUP":
                said["Transport"] = headers["transport"]
            status = self.status if method == b"DESCRIBE" else 200
            if status != 200:
                said["Location"], body = self.location, ""
            said["Content-Length"] = str(len(body))
            head = "".join(f"{name}: {value}\r\n" for name, value in said.items())
            request.wfile.write(f"RTSP/1.0 {status} -\r\n{head}\r\n{body}".encode())
            if method == b"PLAY":
                for number, jpeg in enumerate(self._images()):
                    request.wfile.write(self._packet(number, jpeg))

    def _packet(self, number: int, jpeg: bytes) -> bytes:
        """One image as one packet, because it is small enough."""
        tables, scan = b"", b""
        place = 2
        while not scan:
            marker, length = struct.unpack_from(">HH", jpeg, place)
            if marker == 0xFFDB:  # a quantization table, after its number
                tables += jpeg[place + 5 : place + 2 + length]
            elif marker == 0xFFDA:  # the scan, up to the end of the image
                scan = jpeg[place + 2 + length : -2]
            place += 2 + length
        of_jpeg = struct.pack(">IBBBB", 0, 1, 255, WIDTH // 8, HEIGHT // 8)  # type 1: 4:2:0
        of_tables = struct.pack(">BBH", 0, 0, len(tables)) + tables
        payload = of_jpeg + of_tables + scan
        stamp = round(number * 90_000 / self.fps)
        rtp = struct.pack(">BBHII", 0x80, 0x80 | 26, number % 2**16, stamp, 1) + payload
        return struct.pack(">cBH", b"$", 0, len(rtp)) + rtp


class FilmServer(NetworkCamera):
    """Serves a file by HTTP, from any byte on."""

    address = "http://user:secret@127.0.0.1:{}/clip.mp4"

    def __init__(self, content: bytes) -> None:
        self._content = content
        super().__init__()

    def _handler(self) -> type[BaseRequestHandler]:
        content = self._content

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                first = int(
                    self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0]
                )
                self.send_response(206)
                self.send_header("Accept-Ranges", "bytes")
                self.send_header("Content-Length", str(len(content) - first))
                last = len(content) - 1
                self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(content[first:])

            def log_message(self, *_: object) -> None:
                pass

        return Handler


class StillCamera(HttpCamera):
    """Sends one image per request, given the password; repeats the last one forever.

    Attributes:
        images: bodies, valid or not.
        asked: number of requests with the password.
    """

    address = "http://user:se%23cret@127.0.0.1:{}/snapshot.jpg?size=1"

    def __init__(self, *images: bytes, status: int = 200, digest: bool = False) -> None:
        self.images, self.asked, self._digest = list(images), 0, digest
        super().__init__(status=status)

    def _serve(self, request: BaseHTTPRequestHandler) -> None:
        if self._refuses(request.headers.get("Authorization", "")):
            request.send_response(401)
            scheme = (
                'Digest realm="r", nonce="n", qop="auth"' if self._digest else 'Basic realm="r"'
            )
            request.send_header("WWW-Authenticate", scheme)
            request.end_headers()
            return
        self.asked += 1
        body = self.images.pop(0) if len(self.images) > 1 else self.images[0]
        request.send_response(self.status)
        request.send_header("Location", self.location)
        request.send_header("Content-Type", "image/jpeg")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    def _refuses(self, given: str) -> bool:
        if self._digest:
            return not given.startswith('Digest username="user"')
        return given != "Basic " + base64.b64encode(b"user:se#cret").decode()
