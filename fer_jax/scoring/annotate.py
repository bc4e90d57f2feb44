"""`--annotate DIR`: a copy of every image and video with its faces marked.

Videos play in browsers and keep their sound and the times of their frames. Images are decoded a second
time, so that annotating needs no additional memory.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
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
from fer_jax.media.sound import join_sound
from fer_jax.media.video import Video, VideoFrame
from fer_jax.media.video_decoder import video_decoder
from fer_jax.media.video_writer import VideoWriter, video_ending
from fer_jax.scoring.rows import Row
from fer_jax.scoring.views import View

_JPEG_QUALITY = 92
_JPEG = frozenset({".jpg", ".jpeg"})


class Annotator:
    """Writes the annotated copies of a run; takes all its views in order."""

    def __init__(
        self,
        folder: Path,
        *,
        parent: Path,
        every: int,
        fps: float | None,
        max_pixels: int,
        uncertain_below: float,
        say: Callable[[str], None],
    ) -> None:
        """Writes nothing yet.

        Args:
            folder: for the copies; it must exist. They are placed in it as the inputs are below
                `parent`.
            parent: of the inputs; see `media.inputs.common_parent`.
            every, fps, max_pixels: as used for the views.
            uncertain_below: labels with less confidence get a question mark.
            say: gets a line on each video whose sound is lost, and one on shards.
        """
        self._folder, self._parent, self._say = folder, parent, say
        self._said_of_shards = False
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
        target = annotated_path(self._folder, view.path, parent=self._parent)
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
                if view.name is not None:
                    self._say_of_shards()
                    return
                with self._decoder.opened(view.path) as image:
                    drawn = annotate(image, labels)
                _write_image(target, drawn)
        if view.ends_input and self._video is not None:
            lost = self._video.finish()
            self._video = None
            if lost:
                self._say(f"{printable(target)}: {lost}; the copy is silent")

    def _say_of_shards(self) -> None:
        if not self._said_of_shards:
            self._say("images of shards get no annotated copies")
        self._said_of_shards = True

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
                target,
                video,
                source=view.path,
                rate=min(rate, self._fps or rate),
                folder=self._folder,
            )
        if view.error is None:
            assert view.frame is not None
            self._video.add(view.frame.index, labels)


class _AnnotatedVideo:
    """One video's copy; its frames are read a second time.

    The copy has the size of the video's first frame; a frame of another size is fitted in completely.
    """

    def __init__(
        self, target: Path, video: Video, *, source: Path, rate: float, folder: Path
    ) -> None:
        self._video, self._source = video, source
        self._frames: Iterator[VideoFrame] = iter(video)
        # Not next to the target, whose name may already have the maximum length.
        ending = video_ending()
        partial = folder / f".annotated.{os.getpid()}{ending}"
        try:
            self._writer = VideoWriter(partial, size=(video.width, video.height), rate=rate)
        except OSError:
            partial.unlink(missing_ok=True)
            raise
        self._joined = folder / f".joined.{os.getpid()}{ending}"
        same = target.suffix.lower() == ending
        self._target = target if same else target.with_name(target.name + ending)

    def add(self, index: int, labels: list[FaceLabel]) -> None:
        """Draws the frame with this number."""
        for frame in self._frames:
            if frame.index == index:
                self._writer.write(annotate(frame.image, labels), time_s=frame.time_s)
                return

    def finish(self) -> str | None:
        """Moves the copy to its final name; returns why its sound is lost, if it is."""
        self._video.close()
        self._writer.close()
        try:
            lost = join_sound(self._writer.path, self._source, self._joined)
        except MediaError as error:
            lost = error.reason
        self._target.parent.mkdir(parents=True, exist_ok=True)
        (self._joined if lost is None else self._writer.path).replace(self._target)
        self._writer.path.unlink(missing_ok=True)
        return lost

    def discard(self) -> None:
        """Removes the unfinished copy."""
        self._video.close()
        with contextlib.suppress(OSError):  # the disk is full; the file goes anyway
            self._writer.close()
        for path in (self._writer.path, self._joined):
            path.unlink(missing_ok=True)


def annotated_path(folder: Path, path: Path, *, parent: Path) -> Path:
    """Returns the path of a copy: an image's ends in .jpg, a video's ending depends on its codec.

    The copy of `a.png` is `a.png.jpg`, next to that of `a.jpg`. An input outside of `parent`, which a
    list may hold, keeps its full path; `..` becomes a folder `up`.
    """
    whole = Path(os.path.abspath(path))  # lexical: a link stays where it is
    if whole.is_relative_to(parent):
        return folder / whole.relative_to(parent)
    parts = ["up" if part == ".." else part for part in path.parts if part != path.anchor]
    return folder.joinpath(*parts)


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
