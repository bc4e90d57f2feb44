"""A request that is refused, as JSON: {"error": {"code": ..., "message": ...}}."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

from aiohttp import web


class ApiError(Exception):
    """A request that is refused.

    Attributes:
        status: HTTP's.
        code: stable, for programs.
        message: one line for people: what was expected and what to do next.
        headers: of the answer.
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
        """Remembers what to answer; `retry_after_s` becomes a Retry-After header in whole seconds."""
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.headers = dict(headers or {})
        if retry_after_s is not None:
            self.headers["Retry-After"] = str(max(1, math.ceil(retry_after_s)))

    def response(self) -> web.Response:
        """The answer."""
        body = {"error": {"code": self.code, "message": self.message}}
        return web.Response(
            status=self.status,
            body=json.dumps(body).encode(),
            content_type="application/json",
            headers=self.headers,
        )
