"""Reads request bodies within limits of size and time, whichever server they came to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

from aiohttp import StreamReader, hdrs, web
from aiohttp.http_exceptions import BadHttpMessage

from fer_jax.machine.json_files import parse_json
from server.access.refusal import ApiError

_JSON_S = 10.0


class ForeignRequest(Protocol):
    """A request that came to another server than aiohttp's, as far as its body is concerned."""

    @property
    def headers(self) -> Mapping[str, str]:
        """By names in any case."""
        ...

    @property
    def content_type(self) -> str:
        """In lower case, without parameters; application/octet-stream if there is none."""
        ...

    @property
    def content_length(self) -> int | None:
        """Bytes of the body; None if the header does not say."""
        ...

    @property
    def content(self) -> StreamReader:
        """The body's bytes, as they arrive."""
        ...


Sent = web.Request | ForeignRequest


async def read_body(request: Sent, *, most: int, seconds: float) -> bytes:
    """Returns the whole body.

    Raises:
        ApiError: 413 for more than `most` bytes, 408 if it takes too long, 415 if it is compressed.
    """
    refuse_compressed(request)
    if request.content_length is not None and request.content_length > most:
        raise too_large(most)
    return await collect(request.content.iter_any(), most=most, seconds=seconds)


async def collect(chunks: AsyncIterator[bytes], *, most: int, seconds: float) -> bytes:
    """Joins the chunks within limits; raises as `read_body` does."""
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in chunks:
                body += chunk
                if len(body) > most:
                    raise too_large(most)
    except TimeoutError:
        raise ApiError(
            408,
            "too_slow",
            f"the body did not arrive within {seconds:g} s",
            headers={hdrs.CONNECTION: "close"},
        ) from None
    except BadHttpMessage:
        raise ApiError(400, "bad_request", "the request's body is broken") from None
    return bytes(body)


async def read_json(request: Sent, *, most: int) -> Any:
    """Returns the body's JSON.

    Raises:
        ApiError: as `read_body`; 415 for another type; 400 for invalid JSON.
    """
    if request.content_type != "application/json":
        raise ApiError(415, "unsupported_media_type", "expected application/json")
    body = await read_body(request, most=most, seconds=_JSON_S)
    try:
        return parse_json(body)
    except ValueError:
        raise ApiError(400, "bad_json", "the body is not valid JSON") from None


def refuse_compressed(request: Sent) -> None:
    """Refuses compressed bodies: images are compressed already, and compression would hide the size.

    Raises:
        ApiError: 415, the header declares a compressed body.
    """
    coding = request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower()
    if coding not in ("identity", ""):
        raise ApiError(415, "unsupported_media_type", "send the body without Content-Encoding")


def too_large(most: int) -> ApiError:
    """Returns the error for a body of more than `most` bytes."""
    size = f"{most >> 20} MiB" if most >= 2**20 else f"{most} bytes"
    return ApiError(413, "too_large", f"expected no more than {size}")
