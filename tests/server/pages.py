"""Reads and changes the page for the tests of the viewer."""

from __future__ import annotations

import base64
import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from playwright.sync_api import Page, expect

PHOTO = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
PATIENCE_MS = 60_000  # for one expectation, on a fully busy machine

# The screen as text: the image's pixels, subsampled, and the timeline's.
IMAGE = """() => {
  const image = document.querySelector("#image");
  if (!image.width) return "";
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [48, 36];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0, 48, 36);
  return context.getImageData(0, 0, 48, 36).data.join();
}"""
TIMELINE = "() => document.querySelector('#timeline-canvas').toDataURL()"
GROUND = "() => getComputedStyle(document.body).backgroundColor"


def eventually(look: Callable[[], bool], what: str, *, seconds: float = PATIENCE_MS / 1000) -> None:
    """Waits until a condition holds; the page's policy forbids the browser to evaluate strings."""
    until = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < until, f"{what}: not within {seconds:.0f} s"
        time.sleep(0.05)


def expect_changes(page: Page, script: str, what: str) -> None:
    """Waits until a script has returned three different values; "" does not count."""
    seen: set[str] = set()

    def look() -> bool:
        seen.update(filter(None, [page.evaluate(script)]))
        return len(seen) >= 3

    eventually(look, f"{what} keeps changing")


def drop(page: Page, name: str, data: bytes, *, kind: str = "image/jpeg") -> None:
    """Drops a file onto the page, as from a file manager."""
    transfer = page.evaluate_handle(
        """([name, data, kind]) => {
          const transfer = new DataTransfer();
          const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
          transfer.items.add(new File([bytes], name, { type: kind }));
          return transfer;
        }""",
        [name, base64.b64encode(data).decode(), kind],
    )
    page.dispatch_event("body", "dragenter", {"dataTransfer": transfer})
    expect(page.locator("#drop")).to_be_visible()
    page.dispatch_event("body", "drop", {"dataTransfer": transfer})
    expect(page.locator("#drop")).to_be_hidden()


def write_face_video(path: Path) -> None:
    """Writes a second of a real face, moving, in the format that Chromium's fake camera reads."""
    photo = cv2.imread(str(PHOTO))
    assert photo is not None
    width, height = 320, 240
    with path.open("wb") as video:
        video.write(f"YUV4MPEG2 W{width} H{height} F15:1 Ip A1:1 C420jpeg\n".encode())
        for n in range(15):
            shift = np.array([[0.4, 0, 60 + n], [0, 0.4, 0]])
            frame = cv2.warpAffine(photo, shift, (width, height), borderMode=cv2.BORDER_REPLICATE)
            video.write(b"FRAME\n" + cv2.cvtColor(frame, cv2.COLOR_BGR2YUV_I420).tobytes())


@contextlib.contextmanager
def own_server(checkpoint: str, port: int) -> Iterator[int]:
    """Runs `python -m server` as a process that can be frozen and killed; yields its id."""
    command = [sys.executable, "-m", "server", "--checkpoint", checkpoint, "--port", str(port)]
    with subprocess.Popen([*command, "--source", "demo"], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert b"watch demo" in process.stdout.readline()
            yield process.pid
        finally:
            process.kill()
