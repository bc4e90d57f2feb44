"""What a trusted reverse proxy reports about a visitor: address, scheme and path prefix.

Each proxy appends its peer's address, so the list is read from the right: the first address that does
not belong to a trusted proxy is the visitor's. Anything to its left may be forged.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from collections.abc import Iterator, Sequence
from typing import Literal, Protocol

from server.settings import Network

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Scheme = Literal["http", "https"]

_PREFIX = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")
_PREFIX_LENGTH = 128
_SCHEMES: dict[str, Scheme] = {"http": "http", "ws": "http", "https": "https", "wss": "https"}
# RFC 7239, section 4: token=value, where a value is a token or a quoted string.
_PAIR = re.compile(r'\s*([A-Za-z]+)=("(?:[^"\\]|\\.)*"|[^\s",;]*)\s*')


class Headers(Protocol):
    """The headers of a request, each of which may occur several times."""

    def getall(self, key: str, default: Sequence[str], /) -> Sequence[str]:
        """Returns all values of a header, in order."""
        ...


@dataclasses.dataclass(frozen=True)
class Visitor:
    """The sender of a request, as far as it is known.

    Attributes:
        address: IP address; behind a trusted proxy the visitor's, otherwise the peer's.
        scheme: of the address in the visitor's browser.
        prefix: path below which the visitor sees this server, such as "/fer"; "" for none.
        proxied: whether a trusted proxy reported this.
    """

    address: str
    scheme: Scheme
    prefix: str
    proxied: bool


class TrustedProxies:
    """Reads the headers of trusted proxies and ignores those of all other peers."""

    def __init__(self, networks: Sequence[Network]) -> None:
        """Trusts the peers in these networks."""
        self._networks = tuple(networks)

    def trusts(self, address: str) -> bool:
        """Whether a peer at this address is one of the proxies."""
        found = _address(address)
        return found is not None and self._contains(found)

    def visitor(self, peer: str, headers: Headers, *, scheme: Scheme, prefix: str) -> Visitor:
        """Returns the visitor of a request.

        Args:
            peer: address at the other end of the connection.
            headers: of the request; used only if the peer is trusted. Malformed ones are ignored.
            scheme, prefix: used if no header gives them.
        """
        if not self.trusts(peer):
            return Visitor(peer, scheme, prefix, proxied=False)
        elements = _forwarded(headers)
        listed = _list(headers, "X-Forwarded-For")
        # Proxies pass on headers of the kind they do not write, so if two lists disagree, a visitor may
        # have written one of them: then only the proxy's address is certain.
        found = {
            self._visitor_in(peer, hops)
            for hops in (listed, [element.get("for", "") for element in elements])
            if hops
        }
        address = found.pop() if len(found) == 1 else peer
        reported = _list(headers, "X-Forwarded-Proto")[-1:] or [
            element["proto"] for element in elements[-1:] if "proto" in element
        ]
        scheme = _SCHEMES.get(reported[0].lower(), scheme) if reported else scheme
        prefixes = headers.getall("X-Forwarded-Prefix", ())
        if len(prefixes) == 1 and is_prefix(prefixes[0].rstrip("/")):
            prefix = prefixes[0].rstrip("/")
        return Visitor(address, scheme, prefix, proxied=True)

    def _visitor_in(self, peer: str, hops: Sequence[str]) -> str:
        """Returns the rightmost untrusted address; for an unreadable hop, the peer that reported it."""
        last = peer
        for hop in reversed(hops):
            address = _address(_without_port(hop))
            if address is None:
                return last
            last = str(address)
            if not self._contains(address):
                return last
        return last

    def _contains(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


def is_prefix(text: str) -> bool:
    """Whether a path is a valid prefix of the server's paths: "/fer", "/a/b", not "/" or "/../x"."""
    return len(text) <= _PREFIX_LENGTH and _PREFIX.fullmatch(text) is not None


def _address(text: str) -> Address | None:
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return found if mapped is None else mapped


def _without_port(hop: str) -> str:
    """Returns "1.2.3.4" of "1.2.3.4:5", "::1" of "[::1]:5" and of "::1"."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


def _list(headers: Headers, name: str) -> list[str]:
    """Returns the values of a list header, from all its lines."""
    return [one.strip() for line in headers.getall(name, ()) for one in line.split(",")]


def _forwarded(headers: Headers) -> list[dict[str, str]]:
    """Returns the elements of all Forwarded headers (RFC 7239); none if one is malformed."""
    line = ",".join(headers.getall("Forwarded", ()))
    try:
        return list(_elements(line)) if line else []
    except ValueError:
        # One unreadable hop instead of the whole list: it ends the search at the peer.
        return [{}]


def _elements(line: str) -> Iterator[dict[str, str]]:
    element: dict[str, str] = {}
    at = 0
    while True:
        pair = _PAIR.match(line, at)
        if pair is None:
            raise ValueError(line)
        value = pair.group(2)
        if value.startswith('"'):
            value = re.sub(r"\\(.)", r"\1", value[1:-1])
        element[pair.group(1).lower()] = value
        at = pair.end()
        if at == len(line):
            yield element
            return
        if line[at] == ",":
            yield element
            element = {}
        elif line[at] != ";":
            raise ValueError(line)
        at += 1
