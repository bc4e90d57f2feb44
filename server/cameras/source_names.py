"""Names of cameras: default names, and sources without their secrets."""

from __future__ import annotations

import re
import urllib.parse
from pathlib import Path

from fer_jax.machine.terminal import printable
from server.settings import SourceKind

_NAME_LENGTH = 32
_SECRET = "***"
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)(.*)", re.DOTALL)
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.%]+\]|[^\[\]:@\s]+)(?::\d{1,5})?")
_URL_IN_TEXT = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S*")


def default_name(kind: SourceKind, where: str) -> str:
    """Returns a camera's default name, valid in a URL: "party" for clips/party.mp4."""
    if kind == "device":
        return "webcam" if where == "0" else f"webcam{where}"
    if kind == "file":
        text = Path(where).stem
    elif kind == "network":
        text = "" if is_ambiguous(where) else urllib.parse.urlsplit(where).hostname or ""
    else:
        text = where
    slug = re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-")[:_NAME_LENGTH]
    return slug or kind


def masked(where: str) -> str:
    """Returns a source without possible secrets, as one line that viewers may see.

    A URL keeps its scheme and host: user, password, path and query can all be credentials. If the host
    is uncertain, only the scheme remains. A path keeps its file name.
    """
    url = _URL.fullmatch(where)
    if url is None:
        return printable(Path(where).name or where)
    scheme, place, rest = url.groups()
    if is_ambiguous(where):
        return f"{scheme}://{_SECRET}"
    _, at, host = place.rpartition("@")
    user, path = f"{_SECRET}@" if at else "", f"/{_SECRET}" if rest.strip("/") else rest
    return printable(f"{scheme}://{user}{host}{path}")


def masked_text(text: str) -> str:
    """Returns a message with every URL in it masked."""
    return _URL_IN_TEXT.sub(lambda found: masked(found[0]), text)


def has_host(where: str) -> bool:
    """Whether a URL has a valid host; else its password contains an unescaped #, /, ? or @."""
    url = _URL.fullmatch(where)
    return url is not None and _HOST.fullmatch(url[2].rpartition("@")[2]) is not None


def is_ambiguous(where: str) -> bool:
    """Whether part of a URL's password could be read as its host, because of a later @."""
    url = _URL.fullmatch(where)
    return url is not None and (not has_host(where) or "@" in url[3])
