"""Errors as JSON: {"error": {"code": ..., "message": ...}}, with stable codes.

Handlers raise `ApiError`; exceptions of aiohttp, the batcher and defects are converted here.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from aiohttp import web
from aiohttp.typedefs import Handler

from server.access.refusal import ApiError
from server.access.visitors import visitor
from server.api.refusals import defect, refusal_of
from server.live.keys import METRICS

# Codes for aiohttp's own errors, by status. All other codes are defined where they are raised.
CODES: Mapping[int, str] = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "too_slow",
    411: "length_required",
    413: "too_large",
    414: "too_large",
    415: "unsupported_media_type",
    417: "expectation_failed",
    426: "upgrade_required",
    429: "overloaded",
    431: "too_large",
    500: "internal_error",
    503: "unavailable",
    504: "deadline_passed",
}

_LOG = logging.getLogger(__name__)


def from_http(error: web.HTTPException) -> ApiError:
    """Converts one of aiohttp's errors to our wording and form."""
    code = CODES.get(error.status, "bad_request" if error.status < 500 else "internal_error")
    messages = {
        404: "there is nothing at this address; /api/openapi.json lists what there is",
        413: "the request's body is too large",
        417: "the only supported Expect header is 100-continue",
    }
    message = messages.get(error.status, f"{error.reason.lower()}")
    headers: dict[str, str] = {}
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        message = f"{error.method[:20]} is not supported here; allowed: {allowed}"
        headers["Allow"] = allowed
    return ApiError(error.status, code, message, headers=headers)


@web.middleware
async def json_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Sends every error as JSON and counts it; a defect is logged and answered with 500."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        refusal = from_http(error)
    except ConnectionError:
        raise  # the visitor has disconnected
    except Exception as error:
        if request.writer.output_size:
            _LOG.exception("%s was interrupted", _asked(request))
            raise ConnectionResetError("the response had already started") from error
        refusal = refusal_of(error)
        if refusal is None:
            _LOG.exception("%s failed", _asked(request))
            refusal = defect()
    request.app[METRICS].rejected(refusal.code)
    return refusal.response()


def _asked(request: web.Request) -> str:
    """Returns how logs describe a request: without its query, which may hold a secret."""
    return f"{request.method} {request.rel_url.raw_path} from {visitor(request).address}"
