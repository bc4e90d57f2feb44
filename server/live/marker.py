"""The last steps of a frame: its faces get their labels, and the image is drawn if it has viewers."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence

import numpy as np

from fer_jax.media import encoding
from server.cameras.frames import Frame
from server.live import rendering
from server.live.analysis import Analysis
from server.live.batcher import Answer
from server.live.broadcast import Kind
from server.live.controls import Controls
from server.live.detection_threads import Found
from server.live.labels import Box, Labels


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Marked:
    """A finished frame.

    Attributes:
        analysis: of the frame.
        canvases: uint8 [H, W, 3] RGB of each kind that was drawn, as its viewers see it.
        jpegs: the image to send, for each requested kind.
    """

    analysis: Analysis
    canvases: Mapping[Kind, np.ndarray] = dataclasses.field(default_factory=dict)
    jpegs: Mapping[Kind, bytes] = dataclasses.field(default_factory=dict)


class Marker:
    """Labels one camera's frames in order, one at a time."""

    def __init__(self, camera: str, *, jpeg_quality: int, uncertain_below: float) -> None:
        """Starts without tracks.

        Args:
            camera: its name.
            jpeg_quality: 1 to 100.
            uncertain_below: the checkpoint's threshold, used when the controls have none.
        """
        self._camera, self._quality = camera, jpeg_quality
        self._uncertain_below = uncertain_below
        self._labels = Labels()

    def label(
        self, frame: Frame, found: Found, answer: Answer, *, controls: Controls, since_s: float
    ) -> tuple[Analysis, tuple[Box, ...]]:
        """Labels the next frame's faces; takes 0.1 ms a face, so the event loop may call it.

        Args:
            frame: the next one.
            found: its faces.
            answer: their probabilities.
            controls: the current ones.
            since_s: when the answer arrived, monotonic seconds; waiting counts as annotating.

        Returns:
            The analysis, and where faces were a moment ago (`Labels.lost`).
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
        kinds: Sequence[Kind],
        lost: Sequence[Box],
        controls: Controls,
        since_s: float,
    ) -> Marked:
        """Draws and encodes once for each kind; may be called by several threads at once.

        Args:
            frame: any.
            analysis: of the frame; the returned one adds the times of drawing and encoding.
            kinds: the kinds of image that have viewers.
            lost: what `label` returned with it.
            controls: those the frame was labelled under.
            since_s: as passed to `label`.
        """
        if controls.privacy == "no_picture":
            jpeg = rendering.withheld(
                self._camera, width=analysis.width, height=analysis.height, quality=self._quality
            )
            return Marked(analysis=analysis, jpegs=dict.fromkeys(kinds, jpeg))
        image = frame.image
        if controls.privacy == "pixelate":
            image = rendering.hide(image, (*lost, *(face.box for face in analysis.faces)))
        canvases: dict[Kind, np.ndarray] = {
            kind: _draw(image, analysis, kind, mirror=controls.mirror) for kind in kinds
        }
        drawn_s = time.monotonic()
        jpegs: dict[Kind, bytes] = {
            kind: encoding.jpeg(canvas, quality=self._quality) for kind, canvas in canvases.items()
        }
        encode_s = time.monotonic() - drawn_s
        stages = {**analysis.stages, "annotate": drawn_s - since_s, "encode": encode_s}
        analysis = dataclasses.replace(analysis, stages=stages)
        return Marked(analysis=analysis, canvases=canvases, jpegs=jpegs)


def _draw(image: np.ndarray, analysis: Analysis, kind: Kind, *, mirror: bool) -> np.ndarray:
    if kind == "plain":
        return image
    return rendering.draw(image, analysis.faces, mirror=mirror, charts=kind == "bars")
