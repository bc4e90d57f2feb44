"""A network camera, RTSP or HTTP, through FFmpeg: time limits that interrupt, and a reason for refusals.

Its address may hold a password: no message here quotes more than the masked one.
"""

from __future__ import annotations

import os
import socket
import time
import urllib.parse

import cv2
import numpy as np

from server.cameras.ffmpeg_limits import ffmpeg_limits
from server.cameras.fit import retrieved
from server.cameras.reader import SourceError
from server.cameras.wire import Order

_OPEN_S = 10.0
_READ_S = 10.0  # less than the server's patience, so that the reason is FFmpeg's where it has one
_ASK_S = 3.0
_PORTS = {"rtsp": 554, "http": 80, "rtsps": 322, "https": 443}

# TCP, because a lost UDP packet smears faces for seconds; no buffering, no frame threads: each holds
# images back. Half a megabyte tells FFmpeg what a camera sends; its default waits for 5 s of video.
_OPTIONS = (
    "rtsp_transport;tcp|fflags;nobuffer|flags;low_delay|probesize;500000|analyzeduration;1000000"
)


class NetworkReader:
    """An open network camera; see `Reader`."""

    live = True

    def __init__(self, order: Order) -> None:
        """Connects.

        Raises:
            SourceError: nobody answers there, a password is wanted, or it sends no video.
        """
        cv2.setNumThreads(1)
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        os.environ["OPENCV_FFMPEG_LOGLEVEL"] = "-8"
        limits = "".join(f"|{name};{value}" for name, value in ffmpeg_limits(order.where).items())
        os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = _OPTIONS + limits
        self._masked = order.masked
        self._capture = cv2.VideoCapture(
            order.where,
            cv2.CAP_FFMPEG,
            [
                *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, round(_OPEN_S * 1000)),
                *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, round(_READ_S * 1000)),
                *(cv2.CAP_PROP_N_THREADS, 1),
            ],
        )
        if not self._capture.isOpened():
            raise _why_not(order)
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = rate if 0 < rate <= 240 else 0.0

    def grab(self) -> float:
        """Waits for the next image."""
        if not self._capture.grab():
            raise SourceError("reconnecting", f"{self._masked} stopped sending")
        return time.monotonic()

    def image(self) -> np.ndarray | None:
        """Returns the grabbed image."""
        return retrieved(self._capture)

    def close(self) -> None:
        """Hangs up."""
        self._capture.release()


def _why_not(order: Order) -> SourceError:
    """Asks the camera once more, by hand: OpenCV only says that it did not work."""
    try:
        url = urllib.parse.urlsplit(order.where)
        host, port = url.hostname or "", url.port or _PORTS.get(url.scheme, 80)
    except ValueError:
        return SourceError("missing", f"{order.masked} is not an address")
    try:
        with socket.create_connection((host, port), _ASK_S) as connection:
            code = "" if url.scheme.endswith("s") else _status(connection, url)
    except socket.gaierror:
        return SourceError("missing", f"{order.masked}: no machine of that name is known")
    except ConnectionRefusedError:
        return SourceError("missing", f"{order.masked}: nothing listens on port {port}")
    except OSError:
        return SourceError("missing", f"{order.masked}: no answer within {_ASK_S:g} s")
    if code in ("401", "403"):
        return SourceError("forbidden", f"{order.masked} wants another user and password")
    if code.startswith("3"):
        reason = "the camera redirects, which is not followed; name the address it redirects to"
        return SourceError("missing", f"{order.masked}: {reason}")
    if code in ("404", "454"):
        return SourceError("missing", f"{order.masked}: the camera knows no such stream")
    if code in ("453", "503"):
        return SourceError("busy", f"{order.masked} takes no further viewer")
    return SourceError(
        "reconnecting", f"{order.masked} answers but sends no video that can be read"
    )


def _status(connection: socket.socket, url: urllib.parse.SplitResult) -> str:
    """The status code that the camera answers a request without password with; "" for none."""
    place = url._replace(netloc=(url.netloc.rpartition("@")[2]))
    if url.scheme == "rtsp":
        request = f"DESCRIBE {place.geturl()} RTSP/1.0\r\nCSeq: 1\r\n\r\n"
    else:
        path = urllib.parse.urlunsplit(("", "", place.path or "/", place.query, ""))
        request = f"GET {path} HTTP/1.0\r\nHost: {place.netloc}\r\n\r\n"
    connection.sendall(request.encode("utf-8", "replace"))
    words = connection.recv(256).decode("latin-1").split(maxsplit=2)
    return words[1] if len(words) > 1 else ""
