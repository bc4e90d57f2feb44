"""Decodes videos in a separate process, so that a crash on a file cannot harm its owner.

with VideoDecoder() as decoder, decoder.opened(path, fps=5) as video:  # MediaError if it cannot be
    for frame in video:
        ...
"""

from __future__ import annotations

import contextlib
import sys
import weakref
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fer_jax.machine.processor import usable_cores
from fer_jax.media.child import ChildOwner, DecoderChild
from fer_jax.media.closing import ClosedAtExit
from fer_jax.media.decoder import STARTS_WITHIN_S
from fer_jax.media.decoder_wire import DecoderWireError, release
from fer_jax.media.images import MediaError, open_regular
from fer_jax.media.video import MAX_FRAME_PIXELS, VideoFrame, VideoReader
from fer_jax.media.video_wire import (
    Ask,
    Said,
    VideoReply,
    VideoRequest,
    receive_video_reply,
    send_video_request,
)

DECODE_S = 60.0  # without a single decoded frame

_CLOSES_WITHIN_S = 1.0
_MODULE = "fer_jax.media.video_process"
_AHEAD = 2  # slots that the process always has, so that it decodes while its owner is busy
_MOST_LENT = 8
_KEPT_BYTES = 32 << 20  # of memory kept per frame; the rest of a larger one is released


class VideoDecoder(ChildOwner):
    """A process that decodes videos, one at a time, for one thread at a time.

    It is started for the first video, or by `start`; a crashed one is replaced. On systems that cannot
    pass descriptors (Windows), videos are decoded in the calling process.
    """

    def __init__(self, *, max_pixels: int = MAX_FRAME_PIXELS) -> None:
        """Starts nothing yet; `max_pixels` is the largest allowed size of a frame."""
        self.max_pixels = max_pixels
        self.slot_bytes = 3 * max_pixels
        self._isolated = sys.platform != "win32"
        self._most_lent = min(usable_cores() + 1, _MOST_LENT)
        self.slots = self._most_lent + _AHEAD
        size = self.slots * self.slot_bytes
        super().__init__(DecoderChild(_MODULE, max_pixels, what="video", memory_bytes=size))
        self._lent: set[int] = set()
        self._returned: deque[int] = deque()  # appended by the thread that releases an image last
        self._largest = 0  # bytes of a frame
        self._video: IsolatedVideo | None = None

    def opened(
        self,
        path: Path,
        *,
        every: int = 1,
        fps: float | None = None,
        share: tuple[int, int] = (0, 1),
    ) -> IsolatedVideo | VideoReader:
        """Opens a video, or a share of it; see `media.video.VideoReader`. Closes the previous one.

        Raises:
            MediaError: as `VideoReader`, or it crashed the process.
            DecoderUnavailableError: no process can be started.
        """
        if not self._isolated:
            return VideoReader(path, every=every, fps=fps, max_pixels=self.max_pixels, share=share)
        if every < 1 or (fps is not None and not fps > 0):
            raise ValueError(f"every must be 1 or more and fps positive, got {every} and {fps}")
        if self._video is not None:
            self._video.close()
        with open_regular(path) as file:
            self._make_ready()
            request = VideoRequest(Ask.OPEN, every, fps or 0.0, file.fileno(), *share)
            self._video = IsolatedVideo(self, path, request)
        return self._video

    def start(self) -> None:
        """Starts the process without waiting until it is ready.

        Raises:
            DecoderUnavailableError: it cannot be started.
        """
        if self._isolated:
            # Each FFmpeg thread would reserve 64 MB of address space, which is limited.
            self._child.start(MALLOC_ARENA_MAX="2")

    def _make_ready(self) -> None:
        """Waits until the process is ready; a new one gets all unused slots."""
        child = self._child
        if child.died():
            child.end()
        self.start()
        assert child.wire is not None
        if child.ready:
            with contextlib.suppress(DecoderWireError):  # the request that follows reports it
                self._hand_back()
            if self._largest > _KEPT_BYTES and not self._lent:
                release(child.memory, len(child.memory))
                self._largest = 0
            return
        self._take_back()
        try:
            first = receive_video_reply(child.wire, seconds=STARTS_WITHIN_S)
            child.ready = first.kind == Said.READY
            for slot in set(range(self.slots)) - self._lent:
                send_video_request(child.wire, VideoRequest(Ask.FREE, slot))
        except (DecoderWireError, TimeoutError):
            raise child.unavailable(child.end()) from None

    def send(self, request: VideoRequest) -> None:
        """Raises DecoderWireError if the process is gone."""
        if self._child.wire is None:
            raise DecoderWireError
        send_video_request(self._child.wire, request)

    def receive(self, *, seconds: float = DECODE_S) -> VideoReply:
        """Returns the process's next reply, after returning the slots that have become free.

        Raises:
            DecoderWireError: the process has ended or sent an invalid reply.
            TimeoutError: the reply took too long.
        """
        if self._child.wire is None:
            raise DecoderWireError
        self._hand_back()
        return receive_video_reply(self._child.wire, seconds=seconds)

    def image(self, reply: VideoReply) -> np.ndarray:
        """Returns the image of a FRAME, uint8 [H, W, 3], in its slot as long as it is referenced.

        Returns a copy if too many slots are in use: the process never waits for the owner's images.

        Raises:
            DecoderWireError: the slot does not exist, or the image does not fit into it.
        """
        shape = reply.height, reply.width, 3
        count = 3 * reply.height * reply.width
        if not 0 < count <= self.slot_bytes or reply.slot >= self.slots or reply.slot in self._lent:
            raise DecoderWireError
        self._largest = max(self._largest, count)
        offset = reply.slot * self.slot_bytes
        flat = np.frombuffer(self._child.memory, np.uint8, count=count, offset=offset)
        if len(self._lent) >= self._most_lent:
            image = flat.reshape(shape).copy()
            self.send(VideoRequest(Ask.FREE, reply.slot))
            return image
        self._lent.add(reply.slot)
        weakref.finalize(flat, self._returned.append, reply.slot).atexit = False
        return flat.reshape(shape)

    def abandon(self, *, within_s: float = _CLOSES_WITHIN_S) -> str:
        """Ends the process; returns how it ended."""
        return self._child.end(within_s=within_s)

    def _hand_back(self) -> None:
        for slot in self._take_back():
            self.send(VideoRequest(Ask.FREE, slot))

    def _take_back(self) -> list[int]:
        """Returns the lent slots that are free again."""
        freed = []
        with contextlib.suppress(IndexError):
            while True:
                freed.append(self._returned.popleft())
        self._lent.difference_update(freed)
        return freed


def video_decoder(max_pixels: int) -> VideoDecoder:
    """Returns a decoder for frames of up to `max_pixels`; an 8K frame is the limit in any case."""
    return VideoDecoder(max_pixels=min(max_pixels, MAX_FRAME_PIXELS))


class IsolatedVideo(ClosedAtExit):
    """A video that a `VideoDecoder`'s process decodes; see `media.video.Video`."""

    def __init__(self, decoder: VideoDecoder, path: Path, request: VideoRequest) -> None:
        """Sends the request and waits until the first frame is decoded.

        Raises:
            MediaError: not a video, too large, without a frame, or it crashed the process.
        """
        self.path = path
        self.ended_early: str | None = None
        self.note: str | None = None
        self._decoder = decoder
        self._open = True
        self._seen = ""
        with self._survived():
            decoder.send(request)
        while (opened := self._reply()).kind == Said.ALIVE:
            pass  # it is searching for its share
        with self._survived():
            if opened.kind != Said.OPENED:
                raise DecoderWireError
        self.width, self.height = opened.width, opened.height
        self.frame_count, self.fps = opened.number, opened.value

    def __iter__(self) -> Iterator[VideoFrame]:
        """Gives the sampled frames; a second iteration gives none.

        Raises:
            MediaError: the video crashed the process.
        """
        while self._open:
            reply = self._reply()
            if reply.kind == Said.CUT:
                self.ended_early = reply.text
            elif reply.kind == Said.END:
                self._open, self.note = False, reply.text or None
            elif reply.kind == Said.FRAME:
                with self._survived():
                    image = self._decoder.image(reply)
                self._seen = f" after frame {reply.number}, at {reply.value:.2f} s"
                yield VideoFrame(reply.number, reply.value, image)
                del image  # the slot is free once nothing else refers to it

    def close(self) -> None:
        """Skips the rest of the video; may be called twice."""
        if not self._open:
            return
        self._open = False
        try:
            self._decoder.send(VideoRequest(Ask.CLOSE))
            while (reply := self._decoder.receive(seconds=_CLOSES_WITHIN_S)).kind not in (
                *(Said.END, Said.FAILED),
            ):
                if reply.kind == Said.FRAME:
                    self._decoder.send(VideoRequest(Ask.FREE, reply.slot))
        except (DecoderWireError, TimeoutError):
            self._decoder.abandon(within_s=0)

    def _reply(self) -> VideoReply:
        with self._survived():
            reply = self._decoder.receive()
        if reply.kind == Said.FAILED:
            self._open = False
            raise MediaError(self.path, reply.text)
        return reply

    @contextlib.contextmanager
    def _survived(self) -> Iterator[None]:
        """Converts a crash or timeout of the process to this video's error."""
        try:
            yield
        except TimeoutError:
            self._open = False
            self._decoder.abandon(within_s=0)
            reason = f"a frame of the video takes more than {DECODE_S:g} s to decode{self._seen}"
            raise MediaError(self.path, reason) from None
        except DecoderWireError:
            self._open = False
            ended = self._decoder.abandon()
            raise MediaError(
                self.path, f"the video's decoder crashed ({ended}){self._seen}"
            ) from None
