"""The protocol of an open source that a capture process reads, and its error."""

from __future__ import annotations

import enum
from typing import Final, Literal, Protocol

import numpy as np

from fer_jax.errors import FerError
from server.cameras.wire import Trouble


class _Same(enum.Enum):
    UNCHANGED = enum.auto()


Unchanged = Literal[_Same.UNCHANGED]
UNCHANGED: Final = _Same.UNCHANGED  # in place of an image: the same one as before


class SourceError(FerError):
    """A source that cannot be opened or has stopped; the message has no credentials.

    Attributes:
        trouble: the camera's resulting status.
    """

    def __init__(self, trouble: Trouble, reason: str) -> None:
        super().__init__(reason)
        self.trouble: Trouble = trouble


class Reader(Protocol):
    """An open source.

    Attributes:
        fps: declared frames per second; 0 if unknown.
        live: its images come whether or not they are read, so that all of them have to be.
    """

    fps: float
    live: bool

    def grab(self) -> float:
        """Advances to the next image; a live source waits for it.

        Returns:
            The image's time in seconds: since the beginning of what is played, repeats added up; of
            a live source `time.monotonic()`.

        Raises:
            SourceError: there are no more images.
        """
        ...

    def image(self) -> np.ndarray | Unchanged | None:
        """Returns the grabbed image, uint8 [H, W, 3] RGB, in new memory; None for a damaged one.

        `UNCHANGED` means the image that was returned last.
        """
        ...

    def close(self) -> None:
        """Frees the source."""
        ...
