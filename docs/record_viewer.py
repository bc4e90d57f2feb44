"""Records the images of the live view in README and docs: `python docs/record_viewer.py docs`.

It starts the server with the demo on a free port of this machine and opens the page in Chromium. Once
the timeline holds its whole minute, it writes viewer.webp, an animation, and viewer.png, a still. With
scikit-image installed, the demo shows a smiling face. A machine that is busy with other work paints too
few images, and the page shows the delay.

The animation is a WebP: it keeps all colours, and every current browser plays it. A GIF has 256 colours
for a face and, because it stores the camera's noise without loss, many times the bytes.
"""

from __future__ import annotations

import base64
import contextlib
import io
import itertools
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image
from playwright.sync_api import CDPSession, Page, sync_playwright

from fer_jax import command
from fer_jax.errors import FerError
from fer_jax.machine.confinement import child_command

_PAGE = (1100, 870)  # CSS pixels: the narrowest with the cards next to the image, and all of it
_SIZE = (880, 696)  # of the animation: about the width of a README
_STILL_SCALE = 1.25
_MINUTE_S = 62.0  # fills the timeline, whose scale then stays
_SECONDS = 15.0  # recorded, of which the smoothest part is taken
_PART_S = 2.6  # shown forwards and backwards, so that the end meets the beginning
_FPS = 10
_QUALITIES = (80, 70, 60, 50, 40)  # the first that is small enough is taken
_MOST_BYTES = 1_400_000


class Shot(NamedTuple):
    """An image of the page as a JPEG, and when it was painted, in seconds."""

    time_s: float
    data: bytes


def main(argv: Sequence[str]) -> int:
    """Writes the animation and the still."""
    parser = command.Parser(prog="record_viewer.py", description=__doc__)
    parser.add_argument("folder", type=Path, help="where viewer.webp and viewer.png go")
    parser.add_argument("--checkpoint", default="crowd", help="as for `fer-jax live`")
    parser.add_argument("--fill", type=float, default=_MINUTE_S, help="seconds before recording")
    parser.add_argument("--seconds", type=float, default=_SECONDS, help="how long to record")
    options = parser.parse_args(argv)
    with _server(options.checkpoint) as url, _page(url) as page:
        page.locator("#cards .card").first.wait_for(timeout=180_000)
        page.wait_for_timeout(1000 * options.fill)
        session = page.context.new_cdp_session(page)
        shots = _record(page, session, options.seconds)
        _write_still(page, session, options.folder / "viewer.png")
    part = evenly(smoothest(shots, _PART_S), fps=_FPS)
    _write([*part, *part[-2:0:-1]], options.folder / "viewer.webp")
    return 0


@contextlib.contextmanager
def _server(checkpoint: str) -> Iterator[str]:
    """Runs the server with the demo, as a process, and yields its address."""
    line = child_command("server", "--source", "demo", "--port", 0, "--no-browser")
    with subprocess.Popen(
        [*line, "--checkpoint", checkpoint], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            url = re.search(r"http://\S+", process.stdout.readline())
            if url is None:
                raise FerError("the server did not start")
            yield url[0]
        finally:
            process.terminate()


@contextlib.contextmanager
def _page(url: str) -> Iterator[Page]:
    """Opens the page in a Chromium without windows, in the light theme, without the notice of a demo."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        raise FerError("needs a Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path)
        page = browser.new_page(
            viewport={"width": _PAGE[0], "height": _PAGE[1]}, color_scheme="light"
        )
        page.goto(url)
        page.locator("#notice").evaluate("notice => notice.remove()")
        yield page
        browser.close()


def _record(page: Page, session: CDPSession, seconds: float) -> list[Shot]:
    """Returns what the browser painted, image by image."""
    shots: list[Shot] = []

    def take(event: dict[str, Any]) -> None:
        shots.append(Shot(event["metadata"]["timestamp"], base64.b64decode(event["data"])))
        session.send("Page.screencastFrameAck", {"sessionId": event["sessionId"]})

    session.on("Page.screencastFrame", take)
    session.send("Page.startScreencast", {"format": "jpeg", "quality": 95})
    page.wait_for_timeout(1000 * seconds)
    session.send("Page.stopScreencast")
    return shots


def smoothest(shots: Sequence[Shot], seconds: float) -> list[Shot]:
    """Returns the part of about that many seconds with the shortest longest pause between shots."""

    def longest_pause(part: Sequence[Shot]) -> float:
        times = [*(shot.time_s for shot in part), part[0].time_s + seconds]
        return max(round(after - before, 3) for before, after in itertools.pairwise(times))

    parts = [
        [shot for shot in shots[n:] if shot.time_s <= first.time_s + seconds]
        for n, first in enumerate(shots)
        if shots[-1].time_s >= first.time_s + seconds
    ]
    if not parts:
        raise FerError(f"the browser painted for less than {seconds} s")
    return min(parts, key=longest_pause)


def evenly(shots: Sequence[Shot], *, fps: int) -> list[Image.Image]:
    """Returns the images that were on the screen at times 1/fps apart."""
    images, k = [], 0
    for n in range(int((shots[-1].time_s - shots[0].time_s) * fps) + 1):
        while k + 1 < len(shots) and shots[k + 1].time_s <= shots[0].time_s + n / fps:
            k += 1
        images.append(Image.open(io.BytesIO(shots[k].data)).convert("RGB"))
    return images


def _write(images: Sequence[Image.Image], path: Path) -> None:
    """Writes the animation with the best quality that is small enough."""
    images = [image.resize(_SIZE, Image.Resampling.LANCZOS) for image in images]
    for quality in _QUALITIES:
        images[0].save(
            path,
            save_all=True,
            append_images=images[1:],
            duration=round(1000 / _FPS),
            loop=0,
            quality=quality,
            method=6,
        )
        if path.stat().st_size <= _MOST_BYTES:
            break
    else:
        raise FerError(f"{path}: more than {_MOST_BYTES:,} bytes")
    print(f"{path}: {len(images)} images, quality {quality}, {path.stat().st_size:,} bytes")


def _write_still(page: Page, session: CDPSession, path: Path) -> None:
    """Writes the page at a finer scale, once it has been redrawn."""
    finer = {"width": _PAGE[0], "height": _PAGE[1], "deviceScaleFactor": _STILL_SCALE}
    session.send("Emulation.setDeviceMetricsOverride", {**finer, "mobile": False})
    page.wait_for_timeout(1000)
    data = session.send("Page.captureScreenshot", {"format": "png"})["data"]
    path.write_bytes(base64.b64decode(data))
    print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    sys.exit(command.run(main))
