"""The faces of a camera's last frame, so that labels of a paused camera can be explained.

Grey crops of 48x48 pixels, in memory only, until the next frame, a change of privacy or the departure of
the last viewer.
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
        crop: uint8 [48, 48] grey, the network's input.
        expression: its label.
    """

    crop: np.ndarray
    expression: str


class LastFaces:
    """The last faces of one camera; belongs to the event loop's thread."""

    def __init__(self) -> None:
        """Starts without a face."""
        self._faces: Mapping[int, LastFace] = {}

    def replace(self, faces: Sequence[TrackedFace], crops: Sequence[np.ndarray]) -> None:
        """Replaces the faces with those of a new frame; `crops` are in the same order."""
        self._faces = {
            face.track: LastFace(crop=crop, expression=face.expression)
            for face, crop in zip(faces, crops, strict=True)
        }

    def forget(self) -> None:
        """Drops the faces; there are none until the next frame."""
        self._faces = {}

    def find(self, track: int) -> LastFace | None:
        """Returns the face with this track number; None if the last frame had none."""
        return self._faces.get(track)
