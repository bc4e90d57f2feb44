"""How cameras are called: a name for those that were given none, and addresses without their secrets."""

from __future__ import annotations

import re
import urllib.parse
from pathlib import Path

from server.settings import SourceKind

_NAME_LENGTH = 32
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^?#]*)([?#].*)?", re.DOTALL)


def default_name(kind: SourceKind, where: str) -> str:
    """Returns the name of a camera that was given none, fit for a URL: "party" for clips/party.mp4."""
    if kind == "device":
        return "webcam" if where == "0" else f"webcam{where}"
    if kind == "file":
        text = Path(where).stem
    elif kind == "network":
        text = urllib.parse.urlsplit(where).hostname or ""
    else:
        text = where
    slug = re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-")[:_NAME_LENGTH]
    return slug or kind


def masked(where: str) -> str:
    """Returns an address without what may be secret: user, password and query; a path as it is.

    What is not printable is escaped, so that the result is one line of a log.
    """
    if url := _URL.fullmatch(where):
        scheme, rest, query = url.groups()
        _, at, shown = rest.rpartition("@")  # a password may hold slashes, too
        where = f"{scheme}://{'***@' if at else ''}{shown}{'?***' if query else ''}"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in where)
