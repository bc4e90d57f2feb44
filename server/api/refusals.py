"""Which error answers an exception, whichever server it came up in."""

from __future__ import annotations

from aiohttp import web

from fer_jax.media.image_errors import BadImageError
from server.access.admission import Full
from server.access.load_shedding import QueueFull
from server.access.refusal import ApiError
from server.live.batcher import BatcherClosed, DeadlinePassed


def refusal_of(error: Exception) -> ApiError | None:
    """Returns the error to send for an exception; None for a defect."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, Full):
        return ApiError(error.status, error.code, str(error), retry_after_s=1)
    if isinstance(error, QueueFull):
        message = "too many requests are waiting to be answered in time; try again later"
        return ApiError(429, "overloaded", message, retry_after_s=error.retry_after_s)
    if isinstance(error, DeadlinePassed):
        return ApiError(504, "deadline_passed", "the answer took too long; try again later")
    if isinstance(error, BatcherClosed):
        return ApiError(503, "stopping", "the server is stopping", headers={"Connection": "close"})
    if isinstance(error, BadImageError):
        return ApiError(422, "bad_image", str(error))
    if isinstance(error, web.RequestPayloadError):
        return ApiError(400, "bad_request", "the request's body does not match its header")
    return None


def defect() -> ApiError:
    """Returns the error to send for a defect, which the caller logs."""
    return ApiError(500, "internal_error", "the server failed; see its log")
