"""Reasons why bytes are not a usable image; other modules add the file's name."""

from __future__ import annotations

TRUNCATED = "the image is cut short (its file ends too early)"
DAMAGED = "the image is damaged"


class BadImageError(ValueError):
    """Bytes that are not a usable image; the message gives the reason without the file's name."""


class TooManyPixelsError(BadImageError):
    """An image whose header claims more pixels than are allowed."""


class DecoderFailedError(BadImageError):
    """An image on which the decoder crashed, took too long or needed too much memory."""


class DecoderLateError(DecoderFailedError):
    """An image that was not decoded in its time: it is hostile, or the machine is busy."""
