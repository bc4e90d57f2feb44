"""Converts inputs to views: one per image, one per sampled frame of a video or animation, in order."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fer_jax.faces.detect import Detection
from fer_jax.faces.quality import Quality
from fer_jax.media.animation import is_animation
from fer_jax.media.images import MediaError
from fer_jax.media.kinds import media_kind
from fer_jax.media.video import Video, VideoFrame


@dataclasses.dataclass(slots=True)
class ScoredFace:
    """A face and, once it is recognised, its expression.

    Attributes:
        detection: its location.
        crop: uint8 [48, 48], the network's input.
        image: a small JPEG of it, if images were requested.
        probabilities: float32 [7], in the order of `EXPRESSIONS`; empty until it is recognised.
        confidence: the largest of them.
        quality: "ok", or why the crop cannot be read.
        uncertain: confidence too low, or the quality is not "ok".
    """

    detection: Detection
    crop: np.ndarray
    image: bytes | None = None
    probabilities: np.ndarray = dataclasses.field(default_factory=lambda: np.empty(0, np.float32))
    confidence: float = 0.0
    quality: Quality = "ok"
    uncertain: bool = True


@dataclasses.dataclass
class View:
    """An image, a frame of a video, or a video's end.

    Attributes:
        path: the input it belongs to.
        name: what its rows call it, if not by its path.
        data: an image's file, if it does not lie at `path`; until the faces are cropped.
        video: whether the input is a video.
        frame: of a video, with its image until the faces are cropped; None at the video's end.
        share: finished part of the input, 0 to 1.
        ends_input: whether this is the input's last view.
        size: width and height in pixels, once known.
        faces: those found; recognised once the pipeline yields the view.
        error: why the image, or the rest of the video, cannot be read.
        note: at the input's end, what was lost; the rest is still scored.
    """

    path: Path
    name: str | None = None
    data: bytes | None = None
    video: bool = False
    frame: VideoFrame | None = None
    share: float = 1.0
    ends_input: bool = True
    size: tuple[int, int] | None = None
    faces: list[ScoredFace] = dataclasses.field(default_factory=list)
    error: str | None = None
    note: str | None = None


class Held(NamedTuple):
    """An input that is not simply the file at its path: an image of a shard, or a copy from elsewhere.

    Attributes:
        path: of the copy, or a name for an input without a file.
        name: what rows call it; None for the path.
        data: the file of an image that does not lie at `path`.
        error: why there is no data.
    """

    path: Path
    name: str | None = None
    data: bytes | None = None
    error: str | None = None


def views(
    inputs: Iterable[Path | Held],
    open_video: Callable[[Path], Video],
    *,
    first_frame: bool = False,
) -> Iterator[View]:
    """Yields the views of `inputs` in order, unprocessed: images are not opened yet.

    Args:
        inputs: images and videos; the image reader refuses anything else.
        open_video: opens a video or an animation, or raises MediaError.
        first_frame: an animated image, or one with several pages, is only its first one.
    """
    for each in inputs:
        held = each if isinstance(each, Held) else Held(each)
        if held.data is not None or held.error is not None:
            yield View(held.path, name=held.name, data=held.data, error=held.error)
        elif _moves(held.path, first_frame=first_frame):
            yield from _video(held, open_video)
        else:
            yield View(held.path, name=held.name)


def _moves(path: Path, *, first_frame: bool) -> bool:
    kind = media_kind(path)
    return kind == "video" or (kind == "image" and not first_frame and is_animation(path))


def _video(held: Held, open_video: Callable[[Path], Video]) -> Iterator[View]:
    note = None
    path, name = held.path, held.name
    try:
        with contextlib.closing(open_video(path)) as video:
            for frame in video:
                share = frame.index / max(video.frame_count, frame.index + 1)
                yield View(path, name=name, video=True, frame=frame, share=share, ends_input=False)
            error, note = video.ended_early, video.note
        if error is not None and note is not None:
            error, note = f"{error}; {note}", None
    except (MediaError, MemoryError, OSError) as problem:
        error = reason(problem)
    yield View(path, name=name, video=True, error=error, note=note)


def reason(error: Exception) -> str:
    """Returns one line of valid UTF-8 on why an input cannot be read."""
    if isinstance(error, MediaError):
        return error.reason
    if isinstance(error, MemoryError):
        return "it needs more memory than is available"
    text = " ".join(str(error).split()) or "no reason given"
    return f"{type(error).__name__}: {text}".encode(errors="backslashreplace").decode()[:300]
