"""The settings of a camera that visitors may change."""

from __future__ import annotations

import dataclasses
from typing import Self

from server.settings import Privacy, Rotation, Settings, Source


@dataclasses.dataclass(frozen=True, kw_only=True)
class Controls:
    """One camera's controls; replaced as a whole.

    Attributes:
        mirror: mirror the image; text stays readable, boxes in results and the plain
            stream stay unmirrored.
        rotate: degrees clockwise by which images are rotated before analysis.
        flip: swap left and right before analysis, after rotating; boxes refer to the flipped image.
        paused: take no frames.
        smoothing_s: time constant of the probabilities in seconds; 0 disables smoothing.
        threshold: confidence below which a face is uncertain; None for the checkpoint's.
        recording: write results and annotated images to disk, as far as `privacy` shows them.
        privacy: "pixelate" hides faces, "no_picture" sends results only.
    """

    mirror: bool = False
    rotate: Rotation = 0
    flip: bool = False
    paused: bool = False
    smoothing_s: float = 0.5
    threshold: float | None = None
    privacy: Privacy = "none"
    recording: bool = False

    @classmethod
    def at_start(cls, source: Source, settings: Settings) -> Self:
        """Returns the controls that a camera starts with."""
        return cls(
            mirror=source.kind == "browser",  # people expect to see themselves mirrored
            rotate=source.rotate,
            flip=source.flip,
            smoothing_s=settings.smoothing_s,
            privacy=settings.privacy,
            recording=settings.record,
        )
