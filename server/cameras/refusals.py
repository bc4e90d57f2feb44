"""Why a network camera cannot be read, as one line for people.

The address may hold a password: messages quote only the masked address.
"""

from __future__ import annotations

import socket
import time
import urllib.parse

from server.cameras.reader import SourceError
from server.cameras.source_names import ENCODING, is_ambiguous
from server.cameras.wire import Order

MOST_REDIRECTS = 5
_ASK_S = 3.0
_HEAD_BYTES = 8192
_PORTS = {"rtsp": 554, "http": 80, "rtsps": 322, "https": 443}


def redirection(order: Order, where: str) -> str:
    """Sends one more request to a camera that could not be read; returns where it redirects to.

    Args:
        order: of the camera, for messages.
        where: the address to ask.

    Raises:
        SourceError: it does not redirect; the message says why it cannot be read.
    """
    try:
        url = urllib.parse.urlsplit(where)
        host, port = url.hostname or "", url.port or _PORTS.get(url.scheme, 80)
    except ValueError:
        raise SourceError("missing", f"{order.masked} is not a valid address") from None
    try:
        with socket.create_connection((host, port), _ASK_S) as connection:
            status, location = "", ""
            if not url.scheme.endswith("s"):
                status, location = _answer(connection, url)
    except OSError as error:
        raise unreachable(order, error, port=port) from None
    if status.startswith("3"):
        return location
    raise refused(order, status)


def leads_away(order: Order) -> SourceError:
    """Returns the refusal of a redirect to another machine."""
    reason = "the camera redirects to another machine, which is not followed"
    return SourceError("missing", f"{order.masked}: {reason}")


def redirects_on(order: Order) -> SourceError:
    """Returns the refusal of more than `MOST_REDIRECTS`."""
    return SourceError("missing", f"{order.masked} redirects repeatedly")


def unreachable(order: Order, error: OSError, *, port: int) -> SourceError:
    """Returns why no connection could be made, and what may be wrong with the address."""
    if isinstance(error, socket.gaierror):
        reason = "no machine of that name is known"
    elif isinstance(error, ConnectionRefusedError):
        reason = f"nothing listens on port {port}"
    elif isinstance(error, TimeoutError):
        reason = "no answer in time"
    else:
        reason = "cannot be reached"
    hint = f"; in a user or password, {ENCODING}" if is_ambiguous(order.where) else ""
    return SourceError("missing", f"{order.masked}: {reason}{hint}")


def refused(order: Order, status: str) -> SourceError:
    """Returns the meaning of a status code of HTTP or RTSP; "" for a camera that gave none."""
    if status in ("401", "403"):
        return SourceError("forbidden", f"{order.masked} requires a different user and password")
    if status in ("404", "454"):
        return SourceError("missing", f"{order.masked}: the camera has no such stream")
    if status in ("453", "503"):
        return SourceError("busy", f"{order.masked} accepts no more viewers")
    return SourceError("reconnecting", f"{order.masked} responds but sends no readable video")


def _answer(connection: socket.socket, url: urllib.parse.SplitResult) -> tuple[str, str]:
    """Returns status and Location of the camera's response to a request without password."""
    place = url._replace(netloc=(url.netloc.rpartition("@")[2]))
    if url.scheme == "rtsp":
        request = f"DESCRIBE {place.geturl()} RTSP/1.0\r\nCSeq: 1\r\n\r\n"
    else:
        path = urllib.parse.urlunsplit(("", "", place.path or "/", place.query, ""))
        request = f"GET {path} HTTP/1.0\r\nHost: {place.netloc}\r\n\r\n"
    connection.sendall(request.encode("utf-8", "replace"))
    head, until_s = b"", time.monotonic() + _ASK_S
    while b"\r\n\r\n" not in head and len(head) < _HEAD_BYTES and time.monotonic() < until_s:
        chunk = connection.recv(_HEAD_BYTES)
        if not chunk:
            break
        head += chunk
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(maxsplit=2)
    headers = [line.partition(":") for line in lines[1:]]
    locations = [value.strip() for name, _, value in headers if name.lower() == "location"]
    return (words[1] if len(words) > 1 else ""), "".join(locations[:1])
