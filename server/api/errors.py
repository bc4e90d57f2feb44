"""Refusals as JSON: {"error": {"code": ..., "message": ...}}, with codes that stay the same.

Handlers raise `ApiError`; what aiohttp, the batcher or a defect raise is turned into one here.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from aiohttp import web
from aiohttp.typedefs import Handler

from fer_jax.media.image_header import BadImageError
from server.access.admission import Full
from server.access.load_shedding import QueueFull
from server.access.refusal import ApiError
from server.access.visitors import visitor
from server.live.batcher import BatcherClosed, DeadlinePassed
from server.live.keys import METRICS

# The codes of what aiohttp itself refuses, by status. Every other code stands where it is raised.
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
    """Returns the same refusal as aiohttp's, in our words and form."""
    code = CODES.get(error.status, "bad_request" if error.status < 500 else "internal_error")
    messages = {
        404: "there is nothing at this address; /api/openapi.json lists what there is",
        413: "the request's body is too large",
        417: "of Expect only 100-continue is understood",
    }
    message = messages.get(error.status, f"{error.reason.lower()}")
    headers: dict[str, str] = {}
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        message = f"{error.method[:20]} is not understood here; allowed: {allowed}"
        headers["Allow"] = allowed
    return ApiError(error.status, code, message, headers=headers)


@web.middleware
async def json_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answers every refusal in JSON and counts it; a defect is logged and answered with 500."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        refusal = from_http(error)
    except ConnectionError:
        raise  # the visitor has gone: nobody reads the answer
    except Exception as error:
        if request.writer.output_size:
            _LOG.exception("%s broke off", _asked(request))
            raise ConnectionResetError("the answer had begun") from error
        refusal = refusal_of(error)
        if refusal is None:
            _LOG.exception("%s failed", _asked(request))
            refusal = ApiError(500, "internal_error", "the server failed; its log says why")
    request.app[METRICS].rejected(refusal.code)
    return refusal.response()


def _asked(request: web.Request) -> str:
    """Returns what a log says of a request: not its query, which may hold a secret."""
    return f"{request.method} {request.rel_url.raw_path} from {visitor(request).address}"


def refusal_of(error: Exception) -> ApiError | None:
    """Returns how an exception is answered; None for a defect of ours."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, Full):
        return ApiError(error.status, error.code, str(error), retry_after_s=1)
    if isinstance(error, QueueFull):
        message = "more waits than can be answered in time; try again later"
        return ApiError(429, "overloaded", message, retry_after_s=error.retry_after_s)
    if isinstance(error, DeadlinePassed):
        return ApiError(504, "deadline_passed", "the answer took too long; try again later")
    if isinstance(error, BatcherClosed):
        return ApiError(503, "stopping", "the server is stopping", headers={"Connection": "close"})
    if isinstance(error, BadImageError):
        return ApiError(422, "bad_image", str(error))
    if isinstance(error, web.RequestPayloadError):
        return ApiError(400, "bad_request", "the request's body is not as its header says")
    return None
