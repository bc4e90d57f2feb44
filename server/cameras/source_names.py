"""Names of cameras: default names, and sources without their secrets."""

from __future__ import annotations

import re
import urllib.parse
from pathlib import Path

from fer_jax.machine.terminal import printable
from server.settings import SourceKind

SECRET = "***"
ENCODING = "write %40 for @, %23 for #, %3F for ?, %2F for / and %3A for :"

_NAME_LENGTH = 32
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)(.*)", re.DOTALL)
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.%]+\]|[^\[\]:@\s]+)(?::\d{1,5})?")
# To the last @ of the text: a password may hold spaces.
_URL_IN_TEXT = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://(?:.*@)?\S*", re.DOTALL)
# As some cameras have it in their paths: user=admin_password=word_channel=1.
_SECRET_FIELD = re.compile(r"(?:user|login|pass|pwd|token|secret|key)[a-z]*=", re.IGNORECASE)
_SECRETS_IN_TEXT = re.compile(rf"\S*(?:{_SECRET_FIELD.pattern}|\w:(?!//)\S*@)\S*", re.IGNORECASE)
_BY_ID = re.compile(r"^(?:usb|pci|platform)-|-video-index0$")  # what names in /dev/v4l share


def default_name(kind: SourceKind, where: str) -> str:
    """Returns a camera's default name, valid in a URL: "party" for clips/party.mp4."""
    if kind == "device" and where.isdecimal():
        return "webcam" if where == "0" else f"webcam{where}"
    if kind == "device":
        text = _BY_ID.sub("", Path(where).name)
    elif kind == "file":
        text = "" if masked(where) == SECRET else Path(where).stem
    elif kind == "network":
        text = "" if is_ambiguous(where) else urllib.parse.urlsplit(where).hostname or ""
    else:
        text = where
    slug = re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-")[:_NAME_LENGTH]
    return slug or kind


def masked(where: str) -> str:
    """Returns a source without possible secrets, as one line that viewers may see.

    A URL keeps its scheme and host: user, password, path and query can all be credentials. If the host
    is uncertain, only the scheme remains. A path keeps its file name, if no part of it looks like a
    password.
    """
    url = _URL.fullmatch(where)
    if url is None:
        secret = "@" in where or _SECRET_FIELD.search(where)
        return SECRET if secret else printable(Path(where).name or where)
    scheme, place, rest = url.groups()
    if is_ambiguous(where):
        return f"{scheme}://{SECRET}"
    _, at, host = place.rpartition("@")
    user, path = f"{SECRET}@" if at else "", f"/{SECRET}" if rest.strip("/") else rest
    return printable(f"{scheme}://{user}{host}{path}")


def masked_text(text: str) -> str:
    """Returns a message with every URL and everything that looks like a password in it masked."""
    text = _URL_IN_TEXT.sub(lambda found: masked(found[0]), text)
    return _SECRETS_IN_TEXT.sub(SECRET, text)


def has_host(where: str) -> bool:
    """Whether a URL has a valid host; if not, its password contains an unescaped #, /, ? or @."""
    url = _URL.fullmatch(where)
    return url is not None and _HOST.fullmatch(url[2].rpartition("@")[2]) is not None


def is_ambiguous(where: str) -> bool:
    """Whether part of a URL's password could be read as its host, because of a later @."""
    url = _URL.fullmatch(where)
    return url is not None and (not has_host(where) or "@" in url[3])
