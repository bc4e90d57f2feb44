"""The faces of a camera's last frame, so that a paused one can be asked why it is labelled as it is.

Grey pixels of 48x48 each, in memory only, until the next frame comes, the privacy changes or everybody
has gone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from server.live.analysis import TrackedFace


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class LastFace:
    """One face of the last frame.

    Attributes:
        crop: uint8 [48, 48] grey, as the network took it.
        expression: what it is labelled with.
    """

    crop: np.ndarray
    expression: str


class LastFaces:
    """One camera's; belongs to the event loop's thread."""

    def __init__(self) -> None:
        """Starts without a face."""
        self._faces: Mapping[int, LastFace] = {}

    def replace(self, faces: Sequence[TrackedFace], crops: Sequence[np.ndarray]) -> None:
        """Keeps a frame's faces in place of those before; `crops` are in the same order."""
        self._faces = {
            face.track: LastFace(crop=crop, expression=face.expression)
            for face, crop in zip(faces, crops, strict=True)
        }

    def forget(self) -> None:
        """Keeps none until the next frame."""
        self._faces = {}

    def find(self, track: int) -> LastFace | None:
        """Returns the face of a track's number; None where the last frame had none."""
        return self._faces.get(track)
