"""`fer_jax.Predictor`: photographs, folders and videos in, faces and what they express out."""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fer_jax.faces.detect import DETECT_SIZE, Detection, Detector, DetectSize, make_detector
from fer_jax.faces.track import Appearance, Tracker, smooth
from fer_jax.inference.crops import Images
from fer_jax.inference.explanation import Explanation
from fer_jax.inference.prediction import Face
from fer_jax.inference.predictor import Predictor
from fer_jax.interface.face_list import FaceList
from fer_jax.interface.sources import as_photograph
from fer_jax.machine.terminal import printable
from fer_jax.media.images import MAX_PIXELS, MediaError
from fer_jax.media.inputs import expand_inputs
from fer_jax.media.video import MAX_FRAME_PIXELS
from fer_jax.media.video_decoder import video_decoder
from fer_jax.scoring.accounting import Accountant
from fer_jax.scoring.pipeline import ScoringPipeline
from fer_jax.scoring.rows import Row
from fer_jax.scoring.stages import Stages
from fer_jax.scoring.views import views


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class AnalyzedFrame:
    """One frame of a video.

    Attributes:
        index: its number, from 0.
        time_s: its time stamp in seconds.
        image: uint8 [H, W, 3] RGB.
        faces: from left to right, each with its `track` and `smoothed` probabilities.
    """

    index: int
    time_s: float
    image: np.ndarray
    faces: FaceList


class PhotoPredictor(Predictor):
    """A `Predictor` that also takes files, PIL images and videos, and draws what it found."""

    def analyze(
        self,
        image: Any,
        *,
        bgr: bool = False,
        detector: Detector | None = None,
        flip: bool | None = None,
    ) -> FaceList:
        """Finds the faces of a photograph and returns what they express, from left to right.

        Args:
            image: a path, the bytes of an image file, a PIL image, or uint8 [H, W], [H, W, 3] RGB
                or [H, W, 4] RGBA. The EXIF orientation of the first three is honoured.
            bgr: an array is in OpenCV's channel order.
            detector: used by the calling thread; None for YuNet with its defaults.
            flip: overrides the predictor's setting for this call.

        Raises:
            FerError: a file that cannot be read.
            TypeError: another type.
            ValueError: an array of another dtype or shape.
        """
        pixels = as_photograph(image, bgr=bgr)
        return FaceList(super().analyze(pixels, detector=detector, flip=flip))

    def annotate(self, image: Any, faces: Sequence[Face], *, bgr: bool = False) -> np.ndarray:
        """Returns a copy of a photograph with faces marked and, if there are several, numbered.

        Args:
            image: as `analyze` takes it.
            faces: of that photograph, or of a frame; tracks are shown by their numbers.
            bgr: an array is in OpenCV's channel order. The copy is RGB in any case.
        """
        from fer_jax.faces.annotate import FaceLabel, annotate  # needs Matplotlib, slow to load

        labels = []
        for number, face in enumerate(faces, 1):
            shown = face.probabilities if face.smoothed is None else face.smoothed
            name = f"#{number}" if len(faces) > 1 else ""
            labels.append(
                FaceLabel(
                    face.box,
                    shown,
                    bool(shown.max() < self.uncertain_below),
                    name if face.track is None else f"#{face.track}",
                    quality=face.quality,
                )
            )
        return annotate(as_photograph(image, bgr=bgr), labels)

    def video(
        self,
        path: str | os.PathLike[str],
        *,
        every: int = 1,
        fps: float | None = None,
        detector: Detector | None = None,
    ) -> Iterator[AnalyzedFrame]:
        """Yields the frames of a video as they are read, with their faces tracked.

        Args:
            path: of the video.
            every: takes each `every`-th frame.
            fps: takes at most this many frames a second.
            detector: None for YuNet with its defaults.

        Frames that cannot be decoded are left out; a warning after the last one gives their number.

        Raises:
            MediaError: it cannot be read, or it ends too early, which is raised after its last frame.
        """
        tracker, before = Tracker(), dict[int, tuple[float, np.ndarray]]()
        with (
            video_decoder(MAX_FRAME_PIXELS) as decoder,
            decoder.opened(Path(path), every=every, fps=fps) as video,
        ):
            for frame in video:
                found = self.analyze(frame.image, detector=detector)
                tracks = tracker.update(
                    [_detection(face) for face in found],
                    frame.time_s,
                    [Appearance.of(face.crop) for face in found],
                )
                before = {track: known for track, known in before.items() if track in tracker.alive}
                faces = FaceList()
                for face, track in zip(found, tracks, strict=True):
                    time_s, last = before.get(track, (frame.time_s, None))
                    step_s = frame.time_s - time_s
                    smoothed = smooth(last, face.probabilities, step_s=step_s)
                    before[track] = frame.time_s, smoothed
                    faces.append(dataclasses.replace(face, track=track, smoothed=smoothed))
                yield AnalyzedFrame(
                    index=frame.index, time_s=frame.time_s, image=frame.image, faces=faces
                )
            if video.note:
                warnings.warn(f"{printable(path)}: {video.note}", stacklevel=2)
            if video.ended_early:
                raise MediaError(Path(path), video.ended_early)

    def folder(
        self,
        path: str | os.PathLike[str],
        *,
        every: int = 1,
        fps: float | None = None,
        detector: str = "yunet",
        detect_size: DetectSize = DETECT_SIZE,
        max_pixels: int = MAX_PIXELS,
    ) -> Iterator[Row]:
        """Yields the rows that `fer-jax score` writes, as they are ready, in the order of the inputs.

        Images and videos below a folder are read on every core. An input that cannot be read has a row.

        Args:
            path: a folder, or one image or video.
            every, fps: which frames of videos are analysed; see `video`.
            detector: one of `faces.detect.DETECTORS`.
            detect_size: as `--detect-size`.
            max_pixels: the largest allowed size of an image.

        Raises:
            FerError: an unknown detector, or a size below 32.
        """
        stages = Stages(
            detector=make_detector(detector, detect_size=detect_size),
            recognise=self,
            batch_size=self.bucket_sizes[-1],
            max_pixels=max_pixels,
        )
        inputs = expand_inputs([os.fspath(path)])
        accountant = Accountant()
        with video_decoder(max_pixels) as videos:
            source = views(inputs, partial(videos.opened, every=every, fps=fps))
            with ScoringPipeline(source, stages) as pipeline:
                for ready in pipeline:
                    for view in ready:
                        yield from accountant.rows(view)

    def explain(
        self,
        images: Face | Sequence[Face] | Images,
        *,
        expression: str | Sequence[str] | None = None,
    ) -> Explanation:
        """Returns which parts of faces support an expression, by Grad-CAM.

        Args:
            images: a face or faces that `analyze` found, or crops as `__call__` takes them.
            expression: one for all faces, or one for each; None for each face's own.

        Raises:
            TypeError: another type.
            ValueError: arrays of another dtype or shape, or no such expression.
        """
        return super().explain(_crops(images), expression=expression)


def _crops(images: Face | Sequence[Face] | Images) -> Images:
    if isinstance(images, np.ndarray):
        return images
    if isinstance(images, Face):
        return images.crop[None]
    return [image.crop if isinstance(image, Face) else image for image in images]


def _detection(face: Face) -> Detection:
    return Detection(*face.box, score=face.detection_score, landmarks=face.landmarks)
