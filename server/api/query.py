"""Reads the query of a request, whichever server it came to."""

from __future__ import annotations

from collections.abc import Mapping

from server.access.refusal import ApiError


def flag(query: Mapping[str, str], name: str) -> bool:
    """Returns whether the query has `name=1`; absent and 0 mean no.

    Raises:
        ApiError: 400, any other value.
    """
    value = query.get(name, "0")
    if value not in ("0", "1"):
        raise ApiError(400, "bad_value", f"{name}: expected 0 or 1")
    return value == "1"
