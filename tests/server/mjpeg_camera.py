"""A small HTTP camera in a thread: it can be unplugged, plugged in again, hang, and want a password."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np


class MjpegCamera:
    """Sends moving grey pictures of 64 x 48 at `fps` to whoever asks, from `plug_in` to `unplug`."""

    def __init__(self, *, fps: float = 25.0, status: int = 200) -> None:
        self.fps, self.status = fps, status
        self.hangs = threading.Event()
        self._port = 0
        self._server: ThreadingHTTPServer | None = None
        self._sockets: list[socket.socket] = []
        self.plug_in()

    @property
    def where(self) -> str:
        return f"http://user:secret@127.0.0.1:{self._port}/video.mjpg"

    def plug_in(self) -> None:
        camera = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with contextlib.suppress(OSError):
                    camera._serve(self)

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = False  # closing waits for them: other tests count threads

            def get_request(self) -> tuple[socket.socket, object]:
                connection, address = super().get_request()
                camera._sockets.append(connection)
                return connection, address

            def handle_error(self, *_: object) -> None:
                pass

        self._server = Server(("127.0.0.1", self._port), Handler)
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

    def _serve(self, request: BaseHTTPRequestHandler) -> None:
        request.send_response(self.status)
        if self.status != 200:
            request.end_headers()
            return
        request.send_header("Content-Type", "multipart/x-mixed-replace; boundary=b")
        request.end_headers()
        number = 0
        while self._server is not None:
            if not self.hangs.is_set():
                number += 1
                jpeg = cv2.imencode(".jpg", np.full((48, 64, 3), number * 8 % 256, np.uint8))[1]
                head = f"--b\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                request.wfile.write(head.encode() + jpeg.tobytes() + b"\r\n")
            time.sleep(1 / self.fps)
