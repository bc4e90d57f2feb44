"""The bytes of a multipart/x-mixed-replace stream, as browsers, ffmpeg, VLC and OpenCV all read it.

The boundary is declared without quotes and dashes; as a delimiter it starts with two dashes. A delimiter
opens the stream and another follows each image immediately, so that clients need not wait for the next
image to know that this one is complete.
"""

from __future__ import annotations

from server.live.analysis import STAGES
from server.live.broadcast import Kind, Part

BOUNDARY = "fer-jax-frame"
CONTENT_TYPE = f"multipart/x-mixed-replace;boundary={BOUNDARY}"
OPENING = f"--{BOUNDARY}\r\n".encode()
_CLOSING = f"\r\n--{BOUNDARY}\r\n".encode()


def part_bytes(part: Part, *, timing: bool = False, numbered: bool = False) -> bytes:
    """Returns one image as the bytes of a stream's part.

    Args:
        part: the image.
        timing: add headers: `X-Frame`, the frame's number; `X-Captured` and
            `X-Published`, monotonic seconds of the server's machine; and for each stage that ran
            `X-Stage-NAME`, seconds.
        numbered: add `X-Frame` to each frame; an image of the camera's state has none.
    """
    headers = [
        "Content-Type: image/jpeg",
        f"Content-Length: {len(part.jpeg)}",
        f"X-Timestamp: {part.wall_s:.6f}",
    ]
    if timing or (numbered and part.analysis is not None):
        headers.append(f"X-Frame: {part.number}")
    if timing:
        headers += [
            f"X-Captured: {part.captured_s:.6f}",
            f"X-Published: {part.published_s:.6f}",
        ]
        headers += [
            f"X-Stage-{stage.title()}: {part.stages[stage]:.6f}"
            for stage in STAGES
            if stage in part.stages
        ]
    return b"".join(["\r\n".join(headers).encode(), b"\r\n\r\n", part.jpeg, _CLOSING])


class PartBytes:
    """Caches the bytes of the newest part, so that they are built once for all viewers."""

    def __init__(self, *, kind: Kind, timing: bool) -> None:
        """Starts empty; frames of the plain kind are numbered, `timing` is as in `part_bytes`."""
        self._numbered, self._timing = kind == "plain", timing
        self._part: Part | None = None
        self._bytes = b""

    def of(self, part: Part) -> bytes:
        """Returns the part's bytes."""
        if part is not self._part:
            self._part, self._bytes = (
                part,
                part_bytes(part, timing=self._timing, numbered=self._numbered),
            )
        return self._bytes
