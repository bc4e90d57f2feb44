"""GET / and /static/...: the viewer's files, read once when the server starts.

Only these names are served, so that no path can lead anywhere else.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable

from aiohttp import web

from server.access.visitors import visible_path

_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
_TEXT = ("text/", "image/svg+xml", "application/manifest+json")

FILES: web.AppKey[Mapping[str, tuple[bytes, str]]] = web.AppKey("files", Mapping)


def read_files() -> dict[str, tuple[bytes, str]]:
    """Returns (bytes, Content-Type) of every file of server/web by its relative path."""
    found: dict[str, tuple[bytes, str]] = {}
    _collect(resources.files("server") / "web", "", found)
    return found


async def index(request: web.Request) -> web.Response:
    """Responds with the viewer."""
    return page(request, "index.html")


async def to_index(request: web.Request) -> web.Response:
    """Adds the last slash of the prefix by a redirect, because the page's addresses are relative."""
    raise web.HTTPSeeOther(visible_path(request, "/"))


async def static(request: web.Request) -> web.Response:
    """Responds with one of the viewer's files."""
    return page(request, request.match_info["path"])


def page(request: web.Request, path: str) -> web.Response:
    """Returns the response with one of the viewer's files.

    Raises:
        HTTPNotFound: no file has that name.
    """
    found = request.app[FILES].get(path)
    if found is None:
        raise web.HTTPNotFound
    body, content_type = found
    return web.Response(body=body, headers={"Content-Type": content_type})


def _collect(folder: Traversable, prefix: str, found: dict[str, tuple[bytes, str]]) -> None:
    for entry in folder.iterdir():
        name = f"{prefix}{entry.name}"
        if entry.name.startswith((".", "__")):
            continue
        if entry.is_dir():
            _collect(entry, f"{name}/", found)
        else:
            found[name] = entry.read_bytes(), _content_type(entry.name)


def _content_type(name: str) -> str:
    suffix = name[name.rfind(".") :].lower()
    kind = _TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith(_TEXT) else kind
