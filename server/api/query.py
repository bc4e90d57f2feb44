"""Reads the query of a request."""

from __future__ import annotations

from aiohttp import web

from server.access.refusal import ApiError


def flag(request: web.Request, name: str) -> bool:
    """Returns whether the query has `name=1`; absent and 0 mean no.

    Raises:
        ApiError: 400, any other value.
    """
    value = request.query.get(name, "0")
    if value not in ("0", "1"):
        raise ApiError(400, "bad_value", f"{name}: expected 0 or 1")
    return value == "1"
