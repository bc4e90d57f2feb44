"""Reads the images of a request one by one, each checked before any pixel is decoded.

Only one image's bytes are held at a time, however many a request has.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import email.message
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

import numpy as np
from aiohttp import BodyPartReader, MultipartReader, hdrs
from aiohttp.http_exceptions import HttpProcessingError

from fer_jax.media.decoder import Decoder
from fer_jax.media.image_errors import BadImageError, DecoderLateError, TooManyPixelsError
from fer_jax.media.image_header import format_of, stranger
from server.access.refusal import ApiError
from server.api.bodies import Sent, collect, read_body, refuse_compressed
from server.settings import Limits

# TIFF is a container for many codecs, which strangers do not need.
FORMATS = ("jpeg", "png", "webp", "gif", "bmp")

_FORM = "multipart/form-data"
_NAME_LENGTH = 200
# Raised by aiohttp's form reader; RuntimeError and LookupError for a bad field `_charset_`.
_BROKEN = (ValueError, AssertionError, LookupError, RuntimeError, HttpProcessingError)
_PART_BYTES = 64 << 10  # of a part besides its image: headers and boundaries


@dataclasses.dataclass(frozen=True, eq=False)
class Upload:
    """One image as received: a name for people, and its bytes."""

    name: str
    data: bytes


async def uploads(request: Sent, limits: Limits) -> AsyncIterator[Upload]:
    """Yields the images of a body that is one image, or a form of several.

    Raises:
        ApiError: 400 a broken form or no image, 408 too slow, 413 too many or too large, 415 an
            unsupported type.
    """
    refuse_compressed(request)
    if request.content_type == _FORM:
        async for upload in _form_images(request, limits):
            yield upload
    elif request.content_type.startswith("image/") or request.content_type == (
        "application/octet-stream"
    ):
        data = await read_body(request, most=limits.image_bytes, seconds=limits.image_upload_s)
        yield Upload("image", data)
    else:
        message = f"expected an image as the body, or {_FORM} with images"
        raise ApiError(415, "unsupported_media_type", message)


@contextlib.contextmanager
def decoded(upload: Upload, decoder: Decoder, *, seconds: float) -> Iterator[np.ndarray]:
    """Provides an image as uint8 [H, W, 3] RGB for the duration of the context.

    Args:
        upload: the image's bytes.
        decoder: the calling thread's.
        seconds: how long it may take.

    Raises:
        ApiError: 413 too many pixels, 415 an unsupported format, 422 damaged or crashes its decoder,
            504 takes longer; the message names the image.
    """
    with contextlib.ExitStack() as stack:
        try:
            if not upload.data:
                raise BadImageError("the image is empty")
            kind = format_of(upload.data)
            if kind is None:
                raise BadImageError(stranger(upload.data))
            if kind not in FORMATS:
                message = f"{upload.name}: expected one of {', '.join(FORMATS)}, not {kind}"
                raise ApiError(415, "unsupported_image", message)
            image = stack.enter_context(decoder.decoded(upload.data, seconds=seconds))
        except TooManyPixelsError as error:
            raise ApiError(413, "too_many_pixels", f"{upload.name}: {error}") from None
        except DecoderLateError as error:
            raise ApiError(504, "decoder_late", f"{upload.name}: {error}") from None
        except BadImageError as error:
            raise ApiError(422, "bad_image", f"{upload.name}: {error}") from None
        yield image


class _FormBody:
    """A form's bytes for `MultipartReader`: the boundary first, and no more bytes than allowed.

    aiohttp would search for the boundary line by line without yielding to the event loop.
    """

    def __init__(self, request: Sent, limits: Limits) -> None:
        header = email.message.Message()
        header[hdrs.CONTENT_TYPE] = request.headers.get(hdrs.CONTENT_TYPE, "")
        opening = b"--" + (header.get_boundary() or "").encode()
        self._openings = (opening, opening + b"--")
        self._stream = request.content
        self._left = limits.images_per_request * (limits.image_bytes + _PART_BYTES)
        self._begun = False

    async def readline(self, **limits: int) -> bytes:
        line = self._counted(await self._stream.readline(**limits))
        if not self._begun and line.rstrip() not in self._openings:
            raise ValueError("the form does not start with its boundary")
        self._begun = True
        return line

    async def read(self, most: int = -1) -> bytes:
        return self._counted(await self._stream.read(most))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _counted(self, data: bytes) -> bytes:
        self._left -= len(data)
        if self._left < 0:
            raise ApiError(413, "too_large", "the form is too large")
        return data


class _Patience:
    """The time left to wait for a form's bytes."""

    def __init__(self, limits: Limits) -> None:
        self._each_s, self._left_s = limits.image_upload_s, limits.form_upload_s

    @contextlib.asynccontextmanager
    async def wait(self) -> AsyncIterator[float]:
        """Yields the seconds that this wait may take; raises ApiError when they are over."""
        begun_s = time.monotonic()
        try:
            async with asyncio.timeout(min(self._each_s, self._left_s)):
                yield self._each_s
        except TimeoutError:
            raise ApiError(408, "too_slow", "the form did not arrive in time") from None
        finally:
            self._left_s -= time.monotonic() - begun_s


async def _form_images(request: Sent, limits: Limits) -> AsyncIterator[Upload]:
    try:
        reader = MultipartReader(request.headers, cast(Any, _FormBody(request, limits)))
    except _BROKEN:
        raise _broken_form() from None
    patience = _Patience(limits)
    count = 0
    while (part := await _next_part(reader, patience)) is not None:
        count += 1
        if count > limits.images_per_request:
            message = f"expected no more than {limits.images_per_request} images"
            raise ApiError(413, "too_many_images", message)
        name = (part.filename or part.name or f"image {count}")[:_NAME_LENGTH]
        name = "".join(c if c.isprintable() else "?" for c in name)
        yield Upload(name, await _read(part, limits, patience))
    if not count:
        raise ApiError(400, "no_image", "the form contains no image")


async def _next_part(reader: MultipartReader, patience: _Patience) -> BodyPartReader | None:
    try:
        async with patience.wait():
            part = await reader.next()
    except _BROKEN:
        raise _broken_form() from None
    if isinstance(part, MultipartReader):
        raise _broken_form()
    return part


async def _read(part: BodyPartReader, limits: Limits, patience: _Patience) -> bytes:
    async def chunks() -> AsyncIterator[bytes]:
        while chunk := await part.read_chunk(1 << 16):
            yield chunk

    try:
        async with patience.wait() as seconds:
            return await collect(chunks(), most=limits.image_bytes, seconds=seconds)
    except _BROKEN:
        raise _broken_form() from None


def _broken_form() -> ApiError:
    return ApiError(400, "bad_form", "the multipart form is broken")
