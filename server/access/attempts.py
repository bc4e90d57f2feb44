"""Wrong tokens, counted by the visitor's address."""

from __future__ import annotations

import collections
import ipaddress
import time
from collections.abc import Callable

_WINDOW_S = 60.0
_MOST_ADDRESSES = 4096


class Attempts:
    """Limits wrong tokens by address: `per_minute`, then none until the first is a minute old.

    It remembers a bounded number of the latest addresses. An IPv6 network counts as one address: its
    owner has 2^64 of them.
    """

    def __init__(self, per_minute: int, *, now: Callable[[], float] = time.monotonic) -> None:
        """Starts empty; `now` is in monotonic seconds."""
        self._most, self._now = per_minute, now
        self._wrong: collections.OrderedDict[str, collections.deque[float]] = (
            collections.OrderedDict()
        )

    def wait_s(self, address: str) -> float:
        """Returns the seconds until this address may try again; 0 if it may now."""
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
    """Returns the key of a client: its IPv4 address, or the /64 network of its IPv6 address."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network((ip, 64), strict=False))
