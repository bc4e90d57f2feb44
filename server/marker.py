"""The last step of a frame: its faces get their names, and, if somebody watches, the picture is made."""

from __future__ import annotations

import dataclasses
import time

import numpy as np

from server import picture
from server.batcher import Answer
from server.controls import Controls
from server.detect_pool import Found
from server.frames import Analysis, Frame, TrackedFace
from server.labels import Labels


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Marked:
    """A frame that is done.

    Attributes:
        analysis: what was found.
        canvas: uint8 [H, W, 3] RGB, the picture as viewers see it; None where none was drawn.
        jpeg: what to send them; None when nobody watches.
    """

    analysis: Analysis
    canvas: np.ndarray | None
    jpeg: bytes | None


class Marker:
    """One camera's; takes its frames in order, one at a time, by any thread."""

    def __init__(self, camera: str, *, jpeg_quality: int, uncertain_below: float) -> None:
        """Starts without tracks.

        Args:
            camera: its name.
            jpeg_quality: 1 to 100.
            uncertain_below: the checkpoint's, for when nobody set a threshold.
        """
        self._camera, self._quality = camera, jpeg_quality
        self._uncertain_below = uncertain_below
        self._labels = Labels()

    def mark(
        self,
        frame: Frame,
        found: Found,
        answer: Answer,
        *,
        controls: Controls,
        watched: bool,
        since_s: float,
    ) -> Marked:
        """Labels the faces and makes the picture.

        Args:
            frame: the next one.
            found: its faces.
            answer: what they express.
            controls: in force.
            watched: whether a picture is wanted.
            since_s: when the answer had come, monotonic seconds; waiting counts as annotating.
        """
        threshold = controls.threshold
        faces = self._labels.update(
            found.detections,
            found.crops,
            answer.probabilities,
            frame.captured_s,
            smoothing_s=controls.smoothing_s,
            uncertain_below=self._uncertain_below if threshold is None else threshold,
        )
        canvas = self._draw(frame, faces, controls) if watched else None
        drawn_s = time.monotonic()
        jpeg = self._encode(frame, canvas) if watched else None
        stages = {
            "read": frame.read_s,
            "wait": max(0.0, found.started_s - frame.captured_s - frame.read_s),
            "detect": found.seconds,
            "annotate": drawn_s - since_s,
        }
        if found.crops:
            stages |= {"queue": answer.queue_s, "predict": answer.predict_s}
        if canvas is not None:
            stages["encode"] = time.monotonic() - drawn_s
        return Marked(analysis=self._analysis(frame, faces, stages), canvas=canvas, jpeg=jpeg)

    def _draw(
        self, frame: Frame, faces: tuple[TrackedFace, ...], controls: Controls
    ) -> np.ndarray | None:
        if controls.privacy == "no_picture":
            return None
        pixelate = controls.privacy == "pixelate"
        lost = self._labels.lost(frame.captured_s) if pixelate else ()
        return picture.draw(
            frame.image, faces, mirror=controls.mirror, pixelate=pixelate, lost=lost
        )

    def _encode(self, frame: Frame, canvas: np.ndarray | None) -> bytes:
        if canvas is not None:
            return picture.encode(canvas, self._quality)
        height, width = frame.image.shape[:2]
        return picture.withheld(self._camera, width=width, height=height, quality=self._quality)

    def _analysis(
        self, frame: Frame, faces: tuple[TrackedFace, ...], stages: dict[str, float]
    ) -> Analysis:
        height, width = frame.image.shape[:2]
        return Analysis(
            camera=self._camera,
            number=frame.number,
            captured_s=frame.captured_s,
            wall_s=frame.wall_s,
            width=width,
            height=height,
            faces=faces,
            stages=stages,
        )
