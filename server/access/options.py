"""Command line options for access control."""

from __future__ import annotations

import argparse
import dataclasses
import ipaddress
import secrets
import typing
from collections.abc import Mapping

from fer_jax.errors import FerError
from fer_jax.machine.terminal import printable
from server.access.proxies import is_prefix
from server.cameras.source_names import masked_text
from server.settings import Network, Privacy, is_loopback

_TOKEN_LENGTH = 8
_AUTO = "auto"


@dataclasses.dataclass(frozen=True)
class GivenTokens:
    """The tokens of a server; "" for none.

    Attributes:
        operator, viewer: the tokens of the two roles.
        announced: whether the operators' token was generated here and must be printed.
    """

    operator: str
    viewer: str
    announced: bool = False


def add_access_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options that `tokens` and `proxy` read, and `--privacy`."""
    add = parser.add_argument
    add(
        "--token",
        help="the token visitors need; better given as $FER_TOKEN; auto makes one and prints an address "
        "that carries it, for machines shared with other users",
    )
    add(
        "--viewer-token",
        metavar="TOKEN",
        help="a second token for those who may only watch; better given as $FER_VIEWER_TOKEN",
    )
    add(
        "--privacy",
        choices=typing.get_args(Privacy),
        default="none",
        help="how every camera starts: pixelate hides faces, no_picture sends results only; operators "
        "may change it; a stricter setting survives restarts; %(default)s",
    )
    add(
        "--trusted-proxy",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="address or network of a reverse proxy, such as 127.0.0.1 or 10.0.0.0/8; its "
        "X-Forwarded-* and Forwarded headers are used, those of others are ignored; may be repeated",
    )
    add(
        "--path-prefix",
        default="",
        metavar="PATH",
        help="path below which visitors see this server, such as /fer; for a reverse proxy that serves "
        "other things as well",
    )


def path_prefix(text: str) -> str:
    """Returns the prefix of `--path-prefix` without its trailing slash, "" for none.

    Raises:
        FerError: not a path.
    """
    prefix = text.rstrip("/")
    if prefix and not is_prefix(prefix):
        raise FerError(
            f"--path-prefix {masked_text(printable(text))}: expected a path of letters, digits, "
            "- . _ and ~, such as /fer"
        )
    return prefix


def proxy(text: str) -> Network:
    """Returns the network of one `--trusted-proxy`.

    Raises:
        FerError: neither an address nor a network, or a network of all addresses.
    """
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        network = None
    if network is None or network.prefixlen == 0:
        raise FerError(
            f"--trusted-proxy {masked_text(printable(text))}: expected the proxy's address or network, "
            "such as 127.0.0.1 or 10.0.0.0/8"
        )
    return network


def tokens(line: argparse.Namespace, environment: Mapping[str, str], *, host: str) -> GivenTokens:
    """Returns the tokens from the command line, otherwise from FER_TOKEN and FER_VIEWER_TOKEN.

    Raises:
        FerError: an unusable token, or none although others can reach `host`.
    """
    token = line.token if line.token is not None else environment.get("FER_TOKEN", "")
    viewer = line.viewer_token
    viewer = viewer if viewer is not None else environment.get("FER_VIEWER_TOKEN", "")
    if token != _AUTO:
        check_usable("the token", token)
    check_usable("the viewers' token", viewer)
    if viewer and not token:
        raise FerError("the viewers' token: there must be an operators' token, too; give --token")
    if viewer and viewer == token:
        raise FerError("the viewers' token: expected a token that differs from the operators'")
    if not token and not is_loopback(host):
        raise FerError(
            f"--host {host}: others could see the cameras; give a token with $FER_TOKEN or --token, "
            "or listen on 127.0.0.1"
        )
    if token == _AUTO:
        return GivenTokens(secrets.token_urlsafe(), viewer, announced=True)
    return GivenTokens(token, viewer)


def check_usable(what: str, token: str) -> None:
    """Raises FerError for a token that is too short or cannot be sent in a header."""
    if token and (len(token) < _TOKEN_LENGTH or not token.isascii() or not token.isprintable()):
        raise FerError(
            f"{what}: expected {_TOKEN_LENGTH} printable ASCII characters or more; "
            'make one with python -c "import secrets; print(secrets.token_urlsafe())"'
        )
