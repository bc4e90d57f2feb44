"""A video file as a camera, played in a loop."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from fer_jax.media.images import MediaError
from fer_jax.media.video import VideoFrame, VideoReader
from server.cameras.fit import fit
from server.cameras.reader import SourceError
from server.cameras.wire import Order


class VideoFileReader:
    """Plays a file in a loop; see `Reader`."""

    live = False

    def __init__(self, order: Order) -> None:
        """Opens the file.

        Raises:
            SourceError: missing, not permitted, or not a video.
        """
        cv2.setNumThreads(1)
        self._path, self._shown = Path(order.where), order.masked
        self._video = self._open()
        self._frames: Iterator[VideoFrame] = iter(self._video)
        self._frame: VideoFrame | None = None
        self._rounds_s = 0.0  # of all previous rounds
        self.fps = self._video.fps

    def grab(self) -> float:
        """Reads the next frame; the first follows the last."""
        frame = next(self._frames, None)
        if frame is None:
            ended_s = self._frame.time_s if self._frame is not None else 0.0
            self._rounds_s += ended_s + 1 / self.fps
            self._video.close()
            self._video = self._open()
            self._frames = iter(self._video)
            frame = next(self._frames, None)
            if frame is None:
                raise SourceError("missing", "the video no longer has any frames")
        self._frame = frame
        return self._rounds_s + frame.time_s

    def image(self) -> np.ndarray | None:
        """Returns the grabbed frame."""
        return None if self._frame is None else fit(self._frame.image)

    def close(self) -> None:
        """Closes the file."""
        self._video.close()

    def _open(self) -> VideoReader:
        try:
            return VideoReader(self._path)
        except MediaError as error:
            denied = error.reason == "permission denied"
            reason = f"{self._shown}: {error.reason}"  # not the whole path
            raise SourceError("forbidden" if denied else "missing", reason) from error
