"""`--annotate DIR`: a copy of every image and video with its faces marked.

Videos become MP4, or WebM or AVI if this OpenCV cannot write MP4. Images are decoded a second time, so
that annotating needs no additional memory.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np

from fer_jax.errors import OutputError
from fer_jax.faces.annotate import FaceLabel, annotate
from fer_jax.machine.files import write_bytes
from fer_jax.machine.outputs import output_error, same_file
from fer_jax.machine.terminal import printable
from fer_jax.media.decoder import Decoder
from fer_jax.media.encoding import jpeg
from fer_jax.media.images import MediaError
from fer_jax.media.video import Video, VideoFrame
from fer_jax.media.video_decoder import video_decoder
from fer_jax.scoring.rows import Row
from fer_jax.scoring.views import View

# The available codecs depend on OpenCV's build: they are tried in this order. H.264 plays
# everywhere, MPEG-4 Part 2 in most players, VP8 (slow to write) in every browser.
_CODECS = (("avc1", ".mp4"), ("mp4v", ".mp4"), ("VP80", ".webm"), ("MJPG", ".avi"))

_JPEG_QUALITY = 92
_JPEG = frozenset({".jpg", ".jpeg"})
_LONGEST_STILL_S = 10.0  # a gap in the time stamps is shortened to this


class Annotator:
    """Writes the annotated copies of a run; takes all its views in order."""

    def __init__(
        self,
        folder: Path,
        *,
        every: int,
        fps: float | None,
        max_pixels: int,
        uncertain_below: float,
    ) -> None:
        """Writes nothing yet.

        Args:
            folder: for the copies; it must exist. Copies lie in it as the inputs lie below the root.
            every, fps, max_pixels: as used for the views.
            uncertain_below: labels with less confidence get a question mark.
        """
        self._folder = folder
        self._every, self._fps = every, fps
        self._uncertain_below = uncertain_below
        self._decoder = Decoder(max_pixels=max_pixels)
        self._videos = video_decoder(max_pixels)
        self._video: _AnnotatedVideo | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._video is not None:
            self._video.discard()
        self._decoder.close()
        self._videos.close()

    def add(self, view: View, rows: Sequence[Row]) -> None:
        """Draws one view.

        Args:
            view: the next view.
            rows: those of the view.

        Raises:
            OutputError: a copy cannot be written.
        """
        found = [row for row in rows if row.status == "ok"]
        labels = [self._label(row, alone=len(found) == 1) for row in found]
        target = annotated_path(self._folder, view.path)
        if same_file(target, view.path):
            raise OutputError(
                f"--annotate {printable(self._folder)}: the copy would replace "
                f"{printable(view.path)} itself; name another folder"
            )
        try:
            self._draw(view, labels, target)
        except OSError as error:
            raise output_error(target, error) from error

    def _draw(self, view: View, labels: list[FaceLabel], target: Path) -> None:
        # An image deleted after scoring gets no copy; its rows are kept.
        with contextlib.suppress(MediaError):
            if view.frame is not None:
                self._add_frame(view, labels, target)
            elif not view.video and view.error is None:
                with self._decoder.opened(view.path) as image:
                    drawn = annotate(image, labels)
                _write_image(target, drawn)
        if view.ends_input and self._video is not None:
            self._video.finish()
            self._video = None

    def _label(self, row: Row, *, alone: bool) -> FaceLabel:
        """Returns one face's label, with its number in the rows unless it is alone in its image.

        Videos use the smoothed probabilities, because the raw ones of single frames would flicker.
        """
        assert row.box is not None
        assert row.probabilities is not None
        shown = row.smoothed or row.probabilities
        number = row.face if row.track is None else row.track
        name = "" if alone and row.track is None else f"#{number}"
        return FaceLabel(
            row.box,
            shown,
            uncertain=max(shown) < self._uncertain_below,
            name=name,
            quality=row.quality or "ok",
        )

    def _add_frame(self, view: View, labels: list[FaceLabel], target: Path) -> None:
        if self._video is None:
            video = self._videos.opened(view.path, every=self._every, fps=self._fps)
            rate = video.fps / self._every
            self._video = _AnnotatedVideo(
                target, video, rate=min(rate, self._fps or rate), folder=self._folder
            )
        if view.error is None:
            assert view.frame is not None
            self._video.add(view.frame.index, labels)


class _AnnotatedVideo:
    """One video's copy; its frames are read a second time.

    The copy has the size of the video's first frame; a frame of another size is shown whole in it.
    """

    def __init__(self, target: Path, video: Video, *, rate: float, folder: Path) -> None:
        self._target, self._video, self._rate = target, video, rate
        self._frames: Iterator[VideoFrame] = iter(video)
        self._start_s: float | None = None
        self._still: np.ndarray | None = None
        self._written = 0
        target.parent.mkdir(parents=True, exist_ok=True)
        self._size = video.width, video.height
        # Not beside the target: OpenCV accepts only UTF-8 names.
        self._writer, self._partial = _open_writer(folder, size=self._size, rate=rate)

    def add(self, index: int, labels: list[FaceLabel]) -> None:
        """Draws the frame with this number."""
        for frame in self._frames:
            if frame.index == index:
                self._put(frame, labels)
                return

    def _put(self, frame: VideoFrame, labels: list[FaceLabel]) -> None:
        """Repeats the previous frame up to now: the copy has a fixed frame rate, the video may not."""
        if self._start_s is None:
            self._start_s = frame.time_s
        due = round((frame.time_s - self._start_s) * self._rate)
        due = min(due, self._written + round(_LONGEST_STILL_S * self._rate))
        while self._still is not None and self._written < due:
            self._write(self._still)
        drawn = _within(annotate(frame.image, labels), self._size)
        self._still = cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR)

    def _write(self, image: np.ndarray) -> None:
        self._writer.write(image)
        self._written += 1

    def finish(self) -> None:
        """Moves the copy to its final name."""
        if self._still is not None:
            self._write(self._still)
        self._writer.release()
        self._video.close()
        target = self._target
        if target.suffix.lower() != self._partial.suffix:
            target = target.with_name(target.name + self._partial.suffix)
        self._partial.replace(target)

    def discard(self) -> None:
        """Removes the unfinished copy."""
        self._writer.release()
        self._video.close()
        self._partial.unlink(missing_ok=True)


def annotated_path(folder: Path, path: Path) -> Path:
    """Returns the path of a copy: an image's ends in .jpg, a video's ending depends on its codec.

    The copy of `a.png` is `a.png.jpg`, beside that of `a.jpg`; `../a.jpg` lies in a folder `up`.
    """
    parts = ["up" if part == ".." else part for part in path.parts if part != path.anchor]
    return folder.joinpath(*parts)


def _within(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns the image scaled to fit into width x height on black, with its aspect ratio kept."""
    width, height = size
    if image.shape[:2] == (height, width):
        return image
    scale = min(width / image.shape[1], height / image.shape[0])
    fitted = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    shown = cv2.resize(
        image, fitted, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    )
    x, y = (width - fitted[0]) // 2, (height - fitted[1]) // 2
    whole = np.zeros((height, width, 3), np.uint8)
    whole[y : y + fitted[1], x : x + fitted[0]] = shown
    return whole


def _write_image(target: Path, image: np.ndarray) -> None:
    # JPEG allows 65,500 pixels a side; the few larger images become PNG.
    if max(image.shape[:2]) <= 65_500:
        ending, encoded = ".jpg", jpeg(image, quality=_JPEG_QUALITY)
    else:
        bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        ending, encoded = ".png", cv2.imencode(".png", bgr)[1].tobytes()
    if ending != ".jpg" or target.suffix.lower() not in _JPEG:
        target = target.with_name(target.name + ending)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(target, encoded)


def _open_writer(
    folder: Path, *, size: tuple[int, int], rate: float
) -> tuple[cv2.VideoWriter, Path]:
    for codec, ending in _CODECS:
        partial = folder / f".annotated.{os.getpid()}{ending}"
        code = cv2.VideoWriter.fourcc(*codec)
        writer = cv2.VideoWriter(str(partial), cv2.CAP_FFMPEG, code, rate, size)
        if writer.isOpened():
            return writer, partial
        partial.unlink(missing_ok=True)
    raise OutputError(
        f"--annotate: this OpenCV writes no video of {size[0]} x {size[1]} pixels; "
        "leave out --annotate, or the video"
    )
