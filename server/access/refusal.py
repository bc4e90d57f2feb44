"""The error of a refused request, as JSON: {"error": {"code": ..., "message": ...}}."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

from aiohttp import web


class ApiError(Exception):
    """Refuses a request.

    Attributes:
        status: of HTTP.
        code: stable, for programs.
        message: one line for people: what was expected and what to do next.
        headers: of the response.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        retry_after_s: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Stores the response; `retry_after_s` becomes a Retry-After header in whole seconds."""
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.headers = dict(headers or {})
        if retry_after_s is not None:
            self.headers["Retry-After"] = str(max(1, math.ceil(retry_after_s)))

    @property
    def body(self) -> bytes:
        """The body of the response, JSON."""
        return json.dumps({"error": {"code": self.code, "message": self.message}}).encode()

    def response(self) -> web.Response:
        """Returns the response."""
        return web.Response(
            status=self.status,
            body=self.body,
            content_type="application/json",
            headers=self.headers,
        )
