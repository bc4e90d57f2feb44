"""Who may come in: the server's token, and what is signed with a key made of it.

A session cookie and a signed address both say until when they hold. They outlive a restart of the
server, for the key depends on the token alone; another token makes all of them worthless.
"""

from __future__ import annotations

import base64
import collections
import hashlib
import hmac
import ipaddress
import time
from collections.abc import Callable

SESSION_S = 12 * 3600.0
SIGNED_S = 300.0  # long enough to begin to watch; a stream that runs goes on

_WINDOW_S = 60.0
_MOST_ADDRESSES = 4096
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


class Attempts:
    """Limits wrong tokens by address: so many in a minute, then none until the first is a minute old.

    It remembers a bounded number of addresses, the latest ones. A network of IPv6 counts as one
    address: its owner has 2^64 of them.
    """

    def __init__(self, per_minute: int, *, now: Callable[[], float] = time.monotonic) -> None:
        """Remembers nobody yet; `now` is in monotonic seconds."""
        self._most, self._now = per_minute, now
        self._wrong: collections.OrderedDict[str, collections.deque[float]] = (
            collections.OrderedDict()
        )

    def wait_s(self, address: str) -> float:
        """Returns for how many seconds this address may not try; 0 when it may."""
        times = self._wrong.get(network_of(address))
        if times is None or len(times) < self._most:
            return 0.0
        return max(0.0, times[0] + _WINDOW_S - self._now())

    def failed(self, address: str) -> None:
        """Remembers a wrong token."""
        network = network_of(address)
        times = self._wrong.setdefault(network, collections.deque(maxlen=self._most))
        times.append(self._now())
        self._wrong.move_to_end(network)
        if len(self._wrong) > _MOST_ADDRESSES:
            self._wrong.popitem(last=False)


def network_of(address: str) -> str:
    """Returns what stands for a client: its IPv4 address, or the /64 network of its IPv6 address."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network((ip, 64), strict=False))
