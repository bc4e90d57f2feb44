"""Signed addresses, by which a page without cookies can show one image for a while."""

from __future__ import annotations

import base64
import hmac
import secrets
import time
from collections.abc import Callable

SIGNED_S = 300.0  # long enough to start watching; a running stream continues


class Signatures:
    """Signs paths with a key of this process; a restart invalidates all signatures."""

    def __init__(self, *, now: Callable[[], float] = time.monotonic) -> None:
        """Makes a key; `now` is in monotonic seconds."""
        self._now, self._key = now, secrets.token_bytes(32)

    def sign(self, path: str, *, session: str = "") -> str:
        """Returns a signature that permits GET of `path` for `SIGNED_S` seconds, and nothing else.

        Args:
            path: the path to open.
            session: name of the session the signature ends with; empty for none.
        """
        until = int(self._now() + SIGNED_S)
        return f"{until}.{session}.{self._mac(path, until, session)}"

    def session_of(self, path: str, value: str) -> str | None:
        """Returns the session's name if `value` is a valid signature for `path`, otherwise None."""
        text, _, rest = value.partition(".")
        session, _, mac = rest.partition(".")
        if not (text.isascii() and text.isdecimal() and len(text) <= 12):
            return None
        right = self._mac(path, until := int(text), session).encode()
        good = hmac.compare_digest(mac.encode("utf-8", "replace"), right) and self._now() < until
        return session if good else None

    def _mac(self, path: str, until: int, session: str) -> str:
        text = f"{until} {session} {path}".encode("utf-8", "replace")
        mac = hmac.digest(self._key, text, "sha256")
        return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()
