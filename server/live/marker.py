"""The last steps of a frame: its faces get their names, and the image is made if somebody watches."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence

import numpy as np

from fer_jax.media import encoding
from server.cameras.frames import Frame
from server.live import rendering
from server.live.analysis import Analysis
from server.live.batcher import Answer
from server.live.controls import Controls
from server.live.detection_threads import Found
from server.live.labels import Box, Labels


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Marked:
    """A frame that is done.

    Attributes:
        analysis: what was found.
        canvas: uint8 [H, W, 3] RGB, the image as viewers see it; None where none was drawn.
        jpeg: what to send them; None where no image was wanted.
    """

    analysis: Analysis
    canvas: np.ndarray | None = None
    jpeg: bytes | None = None


class Marker:
    """One camera's; labels its frames in order, one at a time."""

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

    def label(
        self, frame: Frame, found: Found, answer: Answer, *, controls: Controls, since_s: float
    ) -> tuple[Analysis, tuple[Box, ...]]:
        """Names the next frame's faces; 0.1 ms a face: the event loop may call it.

        Args:
            frame: the next one.
            found: its faces.
            answer: what they express.
            controls: in force.
            since_s: when the answer had come, monotonic seconds; waiting counts as annotating.

        Returns:
            What was found, and where faces were a moment ago (`Labels.lost`).
        """
        threshold = controls.threshold
        faces = self._labels.update(
            found.detections,
            found.appearances,
            found.qualities,
            answer.probabilities,
            frame.captured_s,
            smoothing_s=controls.smoothing_s,
            uncertain_below=self._uncertain_below if threshold is None else threshold,
        )
        stages = {
            "read": frame.read_s,
            "wait": max(0.0, found.started_s - frame.captured_s - frame.read_s),
            "detect": found.seconds,
            "annotate": time.monotonic() - since_s,
        }
        if found.crops:
            stages |= {"queue": answer.queue_s, "predict": answer.predict_s}
        height, width = frame.image.shape[:2]
        analysis = Analysis(
            camera=self._camera,
            number=frame.number,
            captured_s=frame.captured_s,
            wall_s=frame.wall_s,
            width=width,
            height=height,
            faces=faces,
            stages=stages,
        )
        return analysis, self._labels.lost(frame.captured_s)

    def draw(
        self,
        frame: Frame,
        analysis: Analysis,
        *,
        lost: Sequence[Box],
        controls: Controls,
        since_s: float,
    ) -> Marked:
        """Draws and encodes; any thread may, several at a time.

        Args:
            frame: any.
            analysis: of it; the result's tells the times of drawing and encoding as well.
            lost: what `label` returned with it.
            controls: in force when it was labelled.
            since_s: as `label` was told.
        """
        canvas = None
        if controls.privacy != "no_picture":
            pixelate = controls.privacy == "pixelate"
            canvas = rendering.draw(
                frame.image,
                analysis.faces,
                mirror=controls.mirror,
                pixelate=pixelate,
                lost=lost if pixelate else (),
            )
        drawn_s = time.monotonic()
        stages = {**analysis.stages, "annotate": drawn_s - since_s}
        if canvas is None:
            jpeg = rendering.withheld(
                self._camera, width=analysis.width, height=analysis.height, quality=self._quality
            )
        else:
            jpeg = encoding.jpeg(canvas, quality=self._quality)
            stages["encode"] = time.monotonic() - drawn_s
        analysis = dataclasses.replace(analysis, stages=stages)
        return Marked(analysis=analysis, canvas=canvas, jpeg=jpeg)
