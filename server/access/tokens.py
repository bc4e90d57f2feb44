"""Who may come in: the server's token, and what is signed with a key made of it.

A session cookie and a signed address both say until when they hold. They outlive a restart of the
server, for the key depends on the token alone; another token makes all of them worthless.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable

SESSION_S = 12 * 3600.0
SIGNED_S = 300.0  # long enough to begin to watch; a stream that runs goes on

# Costs 50 ms once. A guess at a weak token costs as much to whoever got hold of a signed address.
_SCRYPT = {"n": 2**14, "r": 8, "p": 1, "dklen": 32}


class Tokens:
    """Checks and makes proofs of knowing the token. Without a token everybody is welcome."""

    def __init__(self, token: str, *, now: Callable[[], float] = time.time) -> None:
        """Derives the key.

        Args:
            token: may be empty.
            now: seconds since 1970.
        """
        self.required = bool(token)
        self._now = now
        self._digest = hashlib.sha256(token.encode()).digest()
        self._key = hashlib.scrypt(token.encode(), salt=b"fer_jax live server", **_SCRYPT)

    def is_token(self, given: str) -> bool:
        """Whether this is the token; takes as long for any text of the same length."""
        digest = hashlib.sha256(given.encode("utf-8", "surrogateescape")).digest()
        return self.required and hmac.compare_digest(digest, self._digest)

    def session(self) -> str:
        """Returns the value of a new session's cookie."""
        return self._sign("session", SESSION_S)

    def is_session(self, value: str) -> bool:
        """Whether a cookie's value is a session of this token that has not ended."""
        return self._holds("session", value)

    def signature(self, path: str) -> str:
        """Returns what lets anybody GET `path` for `SIGNED_S` seconds, and nothing else."""
        return self._sign(f"GET {path}", SIGNED_S)

    def is_signature(self, path: str, value: str) -> bool:
        """Whether `signature(path)` gave this, not too long ago."""
        return self._holds(f"GET {path}", value)

    def _sign(self, purpose: str, seconds: float) -> str:
        until = int(self._now() + seconds)
        return f"{until}.{self._mac(purpose, until)}"

    def _holds(self, purpose: str, value: str) -> bool:
        text, _, mac = value.partition(".")
        if not self.required or not (text.isascii() and text.isdecimal() and len(text) <= 12):
            return False
        right = self._mac(purpose, until := int(text)).encode()
        return hmac.compare_digest(mac.encode("utf-8", "replace"), right) and self._now() < until

    def _mac(self, purpose: str, until: int) -> str:
        mac = hmac.digest(self._key, f"{until} {purpose}".encode("utf-8", "replace"), "sha256")
        return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()
