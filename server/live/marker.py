"""The last steps of a frame: its faces get their labels, and the image is drawn if it has viewers."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

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
        canvases: uint8 [H, W, 3] RGB of each requested kind, as its viewers see it; {} if withheld.
        encoded: how many of them were not known from the frame before.
        recorded: uint8 [H, W, 3] RGB, annotated and not mirrored; None without a recording.
        jpegs: the image to send, for each requested kind.
    """

    analysis: Analysis
    canvases: Mapping[Kind, np.ndarray] = dataclasses.field(default_factory=dict)
    jpegs: Mapping[Kind, bytes] = dataclasses.field(default_factory=dict)
    encoded: int = 0
    recorded: np.ndarray | None = None


class _Drawn(NamedTuple):
    """An image of a kind: its frame's pixels, what is drawn into them, and the result."""

    source: np.ndarray
    look: tuple[object, ...]
    canvas: np.ndarray
    jpeg: bytes


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
        self._drawn: dict[Kind, _Drawn] = {}

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
        faces = self._labels.update(
            found.detections,
            found.appearances,
            found.qualities,
            answer.probabilities,
            frame.captured_s,
            smoothing_s=controls.smoothing_s,
            uncertain_below=self.uncertain_below(controls),
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

    def uncertain_below(self, controls: Controls) -> float:
        """Returns the confidence below which a face is uncertain."""
        return self._uncertain_below if controls.threshold is None else controls.threshold

    def forget(self) -> None:
        """Drops the images that were drawn last."""
        self._drawn = {}

    def draw(
        self,
        frame: Frame,
        analysis: Analysis,
        *,
        kinds: Sequence[Kind],
        lost: Sequence[Box],
        controls: Controls,
        since_s: float,
        record: bool = False,
    ) -> Marked:
        """Draws and encodes once for each kind; may be called by several threads at once.

        An image that looks as the one before is neither drawn nor encoded again.

        Args:
            frame: any.
            analysis: of the frame; the returned one adds the times of drawing and encoding.
            kinds: the kinds of image that have viewers.
            lost: what `label` returned with it.
            controls: those the frame was labelled under.
            since_s: as passed to `label`.
            record: also draw the image for a recording, whose boxes must fit its csv.
        """
        if controls.privacy == "no_picture":
            return self._withheld(analysis, kinds, record=record)
        image = frame.image
        if controls.privacy == "pixelate":
            image = rendering.hide(image, (*lost, *(face.box for face in analysis.faces)))
        looks = {kind: _look(analysis, lost, controls, kind) for kind in kinds}
        known = {kind: one for kind in kinds if (one := self._known(kind, frame, looks[kind]))}
        canvases: dict[Kind, np.ndarray] = {
            kind: known[kind].canvas
            if kind in known
            else _draw(image, analysis, kind, mirror=controls.mirror)
            for kind in kinds
        }
        recorded = None if controls.mirror or not record else canvases.get("annotated")
        if record and recorded is None:
            recorded = _draw(image, analysis, "annotated", mirror=False)
        drawn_s = time.monotonic()
        jpegs: dict[Kind, bytes] = {
            kind: known[kind].jpeg
            if kind in known
            else encoding.jpeg(canvas, quality=self._quality)
            for kind, canvas in canvases.items()
        }
        encode_s = time.monotonic() - drawn_s
        for kind in kinds:
            self._drawn[kind] = _Drawn(frame.image, looks[kind], canvases[kind], jpegs[kind])
        stages = {**analysis.stages, "annotate": drawn_s - since_s, "encode": encode_s}
        return Marked(
            analysis=dataclasses.replace(analysis, stages=stages),
            canvases=canvases,
            jpegs=jpegs,
            encoded=len(kinds) - len(known),
            recorded=recorded,
        )

    def _withheld(self, analysis: Analysis, kinds: Sequence[Kind], *, record: bool) -> Marked:
        size = {"width": analysis.width, "height": analysis.height}
        jpeg = rendering.withheld(self._camera, quality=self._quality, **size)
        canvas = rendering.withheld_image(self._camera, **size) if record else None
        return Marked(analysis=analysis, jpegs=dict.fromkeys(kinds, jpeg), recorded=canvas)

    def _known(self, kind: Kind, frame: Frame, look: tuple[object, ...]) -> _Drawn | None:
        """Returns the last image of a kind if it would look the same."""
        before = self._drawn.get(kind)
        if before is not None and before.source is frame.image and before.look == look:
            return before
        return None


def _look(
    analysis: Analysis, lost: Sequence[Box], controls: Controls, kind: Kind
) -> tuple[object, ...]:
    """Returns all that decides how an image looks, besides its pixels."""
    hidden = controls.privacy == "pixelate"
    boxes = tuple(face.box for face in analysis.faces)
    if kind == "plain":
        return ("plain", *lost, *boxes) if hidden else ("plain",)
    shown = tuple(
        (face.track, face.expression, face.uncertain, face.quality, *_percents(face.probabilities))
        for face in analysis.faces
    )
    return (hidden, controls.mirror, *(lost if hidden else ()), *boxes, *shown)


def _percents(probabilities: np.ndarray) -> list[int]:
    return [round(100 * share) for share in probabilities.tolist()]


def _draw(image: np.ndarray, analysis: Analysis, kind: Kind, *, mirror: bool) -> np.ndarray:
    if kind == "plain":
        return image
    return rendering.draw(image, analysis.faces, mirror=mirror, charts=kind == "bars")
