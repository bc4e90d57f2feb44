"""The frames of an animated GIF, WebP, PNG or AVIF image, and the pages of a TIFF, as those of a video.

`is_animation` reads only headers. The frames are decoded by Pillow, in a video decoder's process.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

from av.video.frame import VideoFrame as RawFrame

from fer_jax.media.image_errors import DAMAGED, BadImageError
from fer_jax.media.image_header import format_of
from fer_jax.media.images import MediaError, open_regular
from fer_jax.media.raw_images import RAW_SUFFIXES, is_raw
from fer_jax.media.video_container import BadVideoError
from fer_jax.media.video_span import EMPTY, VideoSpan

HEAD_BYTES = 64
_FORMATS = {
    "gif": "GIF",
    "webp": "WEBP",
    "png": "PNG",
    "avif": "AVIF",
    "tiff": "TIFF",
    "bigtiff": "TIFF",
}
_PAGE_S = 1.0  # a TIFF's pages have no times
# Browsers show frames of up to 10 ms, an old way of saying "as fast as possible", for 100 ms.
_SHORTEST_S, _UNSAID_S = 0.01, 0.1
_MOST_READS = 300_000  # of a walk over headers, which a hostile file could make endless
_NOT_A_PAGE = 1 | 4  # NewSubfileType: a smaller copy of another page, a mask


def is_animation(path: Path) -> bool:
    """Returns whether an image file claims several frames or pages.

    False for one that cannot be read or is damaged: its reader gives the reason.
    """
    try:
        with open_regular(path) as file:
            head = file.read(HEAD_BYTES)
            if path.suffix.lower() in RAW_SUFFIXES or is_raw(head):
                return False
            kind = format_of(head)
            if kind == "webp":
                return head[12:16] == b"VP8X" and bool(head[20] & 2)
            if kind == "avif":
                return head[8:12] == b"avis"
            several = {"gif": _gif, "png": _png, "tiff": _tiff, "bigtiff": _tiff}.get(kind or "")
            return several is not None and several(_Headers(file))
    except (MediaError, OSError, ValueError, struct.error, IndexError):
        return False


def is_animation_head(head: bytes) -> bool:
    """Returns whether a file's first 64 bytes are those of a format that may have several frames."""
    return format_of(head) in _FORMATS


class _Headers:
    """A file whose headers are walked, with a limited number of reads."""

    def __init__(self, file: BinaryIO) -> None:
        self.seek = file.seek
        self._file, self._left = file, _MOST_READS

    def read(self, size: int) -> bytes:
        """Returns up to `size` bytes.

        Raises:
            ValueError: the walk has no end.
        """
        self._left -= 1
        if self._left < 0:
            raise ValueError("the file has too many headers")
        return self._file.read(size)


def _read(file: _Headers, layout: str) -> tuple[int, ...]:
    return struct.unpack(layout, file.read(struct.calcsize(layout)))


def _gif(file: _Headers) -> bool:
    """Steps over the blocks to a second image."""
    file.seek(10)
    (flags,) = _read(file, "B2x")
    file.seek((3 << (flags & 7) + 1) if flags & 0x80 else 0, os.SEEK_CUR)
    images = 0
    while images < 2:
        (block,) = _read(file, "B")
        if block == 0x2C:
            images += 1
            (colours,) = _read(file, "8xB")
            file.seek(1 + ((3 << (colours & 7) + 1) if colours & 0x80 else 0), os.SEEK_CUR)
        elif block == 0x21:
            file.seek(1, os.SEEK_CUR)
        else:
            return False
        while length := file.read(1)[0]:
            file.seek(length, os.SEEK_CUR)
    return True


def _png(file: _Headers) -> bool:
    """Steps over the chunks to an animation's, which comes before the pixels."""
    file.seek(8)
    while True:
        length, kind = struct.unpack(">I4s", file.read(8))
        if kind == b"acTL":
            return _read(file, ">I")[0] > 1
        if kind in (b"IDAT", b"IEND"):
            return False
        file.seek(length + 4, os.SEEK_CUR)


def _tiff(file: _Headers) -> bool:
    """Steps over the directories to a second page."""
    file.seek(0)
    order = "<" if file.read(2) == b"II" else ">"
    big = _read(file, f"{order}H")[0] == 43
    count, entry, place = ("Q", "HHQQ", "Q") if big else ("H", "HHII", "I")
    (at,) = _read(file, f"{order}4x{place}" if big else f"{order}{place}")
    pages, seen = 0, set()
    while at and at not in seen and pages < 2:
        seen.add(at)
        file.seek(at)
        page = True
        for _ in range(_read(file, f"{order}{count}")[0]):
            tag, _, _, value = _read(file, f"{order}{entry}")
            page = page and not (tag == 254 and value & _NOT_A_PAGE)
        pages += page
        (at,) = _read(file, f"{order}{place}")
    return pages > 1


class AnimationStream:
    """Iterates once over the frames of an open file; see `video_stream.FrameStream`."""

    def __init__(self, file: BinaryIO, *, max_pixels: int, share: tuple[int, int] = (0, 1)) -> None:
        """Opens the animation.

        Args:
            file: at its beginning; it stays the caller's to close.
            max_pixels: the most that a frame may have.
            share: as for `FrameStream`; animations are not divided, so the first share is all of it.

        Raises:
            BadVideoError: it is damaged, or its frames are too large.
        """
        from fer_jax.media import pillow_images  # slow to load, and rarely needed

        self._pillow, self._max_pixels = pillow_images, max_pixels
        try:
            self._image = pillow_images.opened(
                file, formats=sorted(set(_FORMATS.values())), max_pixels=max_pixels
            )
            self.frame_count = pillow_images.count(self._image)
            with contextlib.suppress(BadImageError):  # reported as a lost frame
                pillow_images.load(self._image)  # only then some formats know their times
        except pillow_images.Image.UnidentifiedImageError:
            raise BadVideoError(f"{DAMAGED}; --first-frame scores only the first frame") from None
        except BadImageError as error:
            raise BadVideoError(f"{error}; --first-frame scores only the first frame") from None
        self.width, self.height = self._image.size
        self.fps = 1 / self._duration_s()
        self.claimed = self.frame_count
        self.lost = self.missing = 0
        self.span: VideoSpan | None = EMPTY if share[0] else None

    def __iter__(self) -> Iterator[tuple[float, RawFrame]]:
        """Yields each frame's time in seconds, and the frame; ends at the first damaged one."""
        if self.span is EMPTY:
            return
        time_s = 0.0
        # A PNG may start with an image for programs that know no animations.
        for index in range(int(getattr(self._image, "default_image", False)), self.frame_count):
            try:
                self._pillow.seek(self._image, index, max_pixels=self._max_pixels)
                if getattr(self._image, "tag_v2", {}).get(254, 0) & _NOT_A_PAGE:
                    continue
                pixels = self._pillow.pixels(self._image)
            except BadImageError:
                self.lost = self.frame_count - index
                return
            yield time_s, RawFrame.from_ndarray(pixels, "rgb24")
            time_s += self._duration_s()

    def aspect_of(self, frame: RawFrame) -> Fraction:
        """Returns 1: pixels are square."""
        del frame
        return Fraction(1)

    def count_lost(self) -> None:
        """Counts a decoded frame that cannot be displayed."""
        self.lost += 1

    def close(self) -> None:
        """Frees the decoder; the iteration ends."""
        self.frame_count = 0
        self._image.close()

    def _duration_s(self) -> float:
        """Returns how long the current frame is shown."""
        if self._image.format == "TIFF":
            return _PAGE_S
        duration_s = float(self._image.info.get("duration") or 0) / 1000
        return duration_s if duration_s > _SHORTEST_S else _UNSAID_S
