"""Why a network camera cannot be read, as one line for people.

The address may hold a password: messages quote only the masked address.
"""

from __future__ import annotations

import socket
import urllib.parse

from server.cameras.reader import SourceError
from server.cameras.source_names import ENCODING, is_ambiguous
from server.cameras.wire import Order

_ASK_S = 3.0
_PORTS = {"rtsp": 554, "http": 80, "rtsps": 322, "https": 443}


def why_not(order: Order) -> SourceError:
    """Asks the camera once more by hand for the reason of a failure."""
    try:
        url = urllib.parse.urlsplit(order.where)
        host, port = url.hostname or "", url.port or _PORTS.get(url.scheme, 80)
    except ValueError:
        return SourceError("missing", f"{order.masked} is not a valid address")
    try:
        with socket.create_connection((host, port), _ASK_S) as connection:
            status = "" if url.scheme.endswith("s") else _status(connection, url)
    except OSError as error:
        return unreachable(order, error, port=port)
    return refused(order, status)


def unreachable(order: Order, error: OSError, *, port: int) -> SourceError:
    """Returns why no connection could be made."""
    if isinstance(error, socket.gaierror):
        hint = f"; in a user or password, {ENCODING}" if is_ambiguous(order.where) else ""
        return SourceError("missing", f"{order.masked}: no machine of that name is known{hint}")
    if isinstance(error, ConnectionRefusedError):
        return SourceError("missing", f"{order.masked}: nothing listens on port {port}")
    return SourceError("missing", f"{order.masked}: no answer within {_ASK_S:g} s")


def refused(order: Order, status: str) -> SourceError:
    """Returns the meaning of a status code of HTTP or RTSP; "" for a camera that gave none."""
    if status in ("401", "403"):
        return SourceError("forbidden", f"{order.masked} requires a different user and password")
    if status.startswith("3"):
        reason = "the camera redirects, which is not followed; name the address it redirects to"
        return SourceError("missing", f"{order.masked}: {reason}")
    if status in ("404", "454"):
        return SourceError("missing", f"{order.masked}: the camera has no such stream")
    if status in ("453", "503"):
        return SourceError("busy", f"{order.masked} accepts no more viewers")
    return SourceError("reconnecting", f"{order.masked} responds but sends no readable video")


def _status(connection: socket.socket, url: urllib.parse.SplitResult) -> str:
    """Returns the status code of the camera's response to a request without password; "" for none."""
    place = url._replace(netloc=(url.netloc.rpartition("@")[2]))
    if url.scheme == "rtsp":
        request = f"DESCRIBE {place.geturl()} RTSP/1.0\r\nCSeq: 1\r\n\r\n"
    else:
        path = urllib.parse.urlunsplit(("", "", place.path or "/", place.query, ""))
        request = f"GET {path} HTTP/1.0\r\nHost: {place.netloc}\r\n\r\n"
    connection.sendall(request.encode("utf-8", "replace"))
    words = connection.recv(256).decode("latin-1").split(maxsplit=2)
    return words[1] if len(words) > 1 else ""
