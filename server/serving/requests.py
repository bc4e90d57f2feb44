"""A request that came through Ray Serve, in the form in which `server.api` reads bodies."""

from __future__ import annotations

import asyncio
import contextlib
import email.message
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING

from aiohttp import StreamReader, hdrs
from aiohttp.base_protocol import BaseProtocol

from server.access.refusal import ApiError
from server.api.bodies import too_large

if TYPE_CHECKING:
    from starlette.requests import Request


class ServeRequest:
    """One request; its body arrives within the context of `arriving`.

    Attributes:
        headers: by names in any case.
        content_type: in lower case; application/octet-stream if there is none.
        content_length: bytes of the body; None if the header does not say.
        content: the body's bytes, as they arrive.
    """

    def __init__(self, request: Request, *, most_bytes: int) -> None:
        """Reads nothing yet.

        Args:
            request: as Ray Serve hands it over.
            most_bytes: of the body, which is kept until it is read.
        """
        self.headers: Mapping[str, str] = request.headers
        self.content_type = _content_type(self.headers)
        length = self.headers.get(hdrs.CONTENT_LENGTH, "")
        self.content_length = int(length) if length.isdecimal() else None
        self._request, self._most = request, most_bytes
        loop = asyncio.get_running_loop()
        # With this limit it never requests a pause, which would have no effect.
        self.content = StreamReader(_Connected(loop), most_bytes, loop=loop)

    @contextlib.asynccontextmanager
    async def arriving(self) -> AsyncIterator[None]:
        """Takes in the body for the duration of the context.

        Raises:
            ApiError: 413, the header declares too many bytes. Reading `content` raises it for a body
                that turns out to be too large, and 400 for one that ends early.
        """
        if (self.content_length or 0) > self._most:
            raise too_large(self._most)
        task = asyncio.create_task(self._take_in())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _take_in(self) -> None:
        from starlette.requests import ClientDisconnect

        received = 0
        try:
            async for chunk in self._request.stream():
                received += len(chunk)
                if received > self._most:
                    raise too_large(self._most)
                self.content.feed_data(chunk)
            self.content.feed_eof()
        except ClientDisconnect:
            early = ApiError(400, "bad_request", "the request's body does not match its header")
            self.content.set_exception(early)
        except Exception as error:  # noqa: BLE001 - raised by who reads
            self.content.set_exception(error)


class _Connected(BaseProtocol):
    """Represents the connection, which another process holds."""

    @property
    def connected(self) -> bool:
        return True


def _content_type(headers: Mapping[str, str]) -> str:
    given = headers.get(hdrs.CONTENT_TYPE)
    if given is None:
        return "application/octet-stream"
    header = email.message.Message()
    header[hdrs.CONTENT_TYPE] = given
    return header.get_content_type()
