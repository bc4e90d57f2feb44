"""A network camera that sends one image a request, such as http://camera/snapshot.jpg.

An image with the same bytes as the one before is reported as unchanged, without its pixels. A failed
request or a damaged image costs that image only, unless requests keep failing.
"""

from __future__ import annotations

import http.client
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from email.message import Message
from typing import IO, NamedTuple

import numpy as np

from fer_jax.media.image_errors import BadImageError
from fer_jax.media.images import decode_image
from server.cameras.ffmpeg_limits import redirected
from server.cameras.fit import fit
from server.cameras.reader import UNCHANGED, SourceError, Unchanged
from server.cameras.refusals import (
    MOST_REDIRECTS,
    leads_away,
    redirects_on,
    refused,
    unreachable,
)
from server.cameras.wire import Order

_ANSWER_S = 5.0  # between two pieces of a response; the server watches the total
_MOST_BYTES = 32 << 20
_MOST_PIXELS = 50_000_000
_LONGEST_WAIT_S = 1.0  # then an unchanged image is reported, or the camera would look stalled
_FAILING_S = 5.0  # of failed requests in a row end the connection
_USER_AGENT = "fer_jax"


class StillReader:
    """A camera's newest still image; see `Reader`."""

    live = False

    def __init__(self, order: Order, client: StillClient, first: bytes) -> None:
        """Starts with the image of a first request; see `still_reader`."""
        self.fps = order.still_fps
        self._client, self._newest = client, first
        self._given: bytes | None = None
        self._damaged = False
        self._failing_s: float | None = None  # since when requests fail
        self._due_s = 0.0

    def grab(self) -> float:
        """Requests the next image when it is due; within a second there is something to report."""
        now = time.monotonic()
        if self._given is not None:
            if self._due_s - now > _LONGEST_WAIT_S:
                time.sleep(_LONGEST_WAIT_S)
                return time.monotonic()
            time.sleep(max(0.0, self._due_s - now))
            self._ask()
        self._due_s = max(self._due_s, now) + 1 / self.fps
        return time.monotonic()

    def image(self) -> np.ndarray | Unchanged | None:
        """Returns the newest image if it is another one than before."""
        if self._newest == self._given:
            return None if self._damaged else UNCHANGED
        self._given, self._damaged = self._newest, False
        try:
            return fit(np.array(decode_image(self._newest, max_pixels=_MOST_PIXELS)))
        except BadImageError:
            self._damaged = True
            return None

    def close(self) -> None:
        """Does nothing: every request has its own connection."""

    def _ask(self) -> None:
        try:
            self._newest = self._client.image()
        except SourceError:
            now = time.monotonic()
            self._failing_s = now if self._failing_s is None else self._failing_s
            if now - self._failing_s >= _FAILING_S:
                raise
            return
        self._failing_s = None


class StillClient:
    """Requests to one address: with its password, never to another host, within limits."""

    def __init__(self, order: Order) -> None:
        """Connects to nothing yet.

        Raises:
            ValueError: not a valid address.
        """
        self._order = order
        passwords = self._passwords = urllib.request.HTTPPasswordMgrWithPriorAuth()
        # Cameras sign their own certificates; FFmpeg does not check them either.
        unchecked = ssl.create_default_context()
        unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=unchecked),
            urllib.request.HTTPBasicAuthHandler(passwords),
            urllib.request.HTTPDigestAuthHandler(passwords),
            _NoRedirects(),
        )
        self._aim(order.where)

    def _aim(self, where: str) -> None:
        """Sends further requests to an address."""
        url = urllib.parse.urlsplit(where)
        self._where, self._port = where, url.port or (443 if url.scheme == "https" else 80)
        bare = url._replace(netloc=url.netloc.rpartition("@")[2], fragment="").geturl()
        if url.username is not None:
            user, word = map(urllib.parse.unquote, (url.username, url.password or ""))
            self._passwords.add_password(None, bare, user, word)
        self._request = urllib.request.Request(bare, headers={"User-Agent": _USER_AGENT})

    def image(self) -> bytes:
        """Returns the body of one answer, behind redirects on the camera's own host.

        Raises:
            SourceError: no answer, a refusal, something that is not an image, or a larger one.
        """
        self._aim(self._order.where)  # a redirect may lead to another image each time
        for _ in range(1 + MOST_REDIRECTS):
            try:
                answer = self._answer()
            except urllib.error.URLError as error:
                reason = error.reason if isinstance(error.reason, OSError) else OSError()
                raise unreachable(self._order, reason, port=self._port) from None
            except (OSError, ValueError, http.client.HTTPException):
                raise refused(self._order, "") from None
            if isinstance(answer, bytes):
                return answer
            if not 300 <= answer.status < 400:
                raise refused(self._order, str(answer.status))
            address = redirected(self._where, answer.location)
            if address is None:
                raise RedirectError(str(leads_away(self._order)))
            self._aim(address)
        raise RedirectError(str(redirects_on(self._order)))

    def _answer(self) -> bytes | _Refusal:
        try:
            return self._body()
        except urllib.error.HTTPError as error:  # or it keeps the first answer open
            error.close()
            return _Refusal(error.code, error.headers.get("Location", ""))

    def _body(self) -> bytes:
        with self._opener.open(self._request, timeout=_ANSWER_S) as answer:
            if not answer.headers.get_content_type().startswith("image/"):
                raise NoStillError(self._order)
            body = answer.read(_MOST_BYTES + 1)
        if len(body) > _MOST_BYTES:
            raise SourceError(
                "reconnecting", f"{self._order.masked} sends images of over {_MOST_BYTES >> 20} MiB"
            )
        return body


class _Refusal(NamedTuple):
    """An answer without a body."""

    status: int
    location: str


class NoStillError(SourceError):
    """The address answers with something other than an image."""

    def __init__(self, order: Order) -> None:
        super().__init__("reconnecting", f"{order.masked} no longer sends an image")


class RedirectError(SourceError):
    """The address redirects to another machine, or on and on."""

    def __init__(self, reason: str) -> None:
        super().__init__("missing", reason)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Reports a redirect as an error, so that `StillClient` decides: it could lead to another host."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Message,
        newurl: str,
    ) -> None:
        """Returns no follow-up request."""


def still_reader(order: Order) -> StillReader | None:
    """Returns a reader of an http address that answers with an image; None for any other address.

    Raises:
        SourceError: the camera redirects to another machine.
    """
    if not order.where.lower().startswith("http"):
        return None
    try:
        client = StillClient(order)
        return StillReader(order, client, client.image())
    except RedirectError:
        raise
    except (SourceError, ValueError):
        return None  # read as video, which also reports what is wrong
