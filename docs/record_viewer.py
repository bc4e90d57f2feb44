"""Records the README's animation of the live view: `python docs/record_viewer.py docs/viewer.webp`.

The page shows the demo source in Chromium. With scikit-image installed, the demo is a smiling face.
"""

from __future__ import annotations

import io
import itertools
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from fer_jax import command
from fer_jax.errors import FerError
from fer_jax.machine.confinement import child_command

_SECONDS = 6.0
_FPS = 8.0  # at most; a busy machine takes fewer images, which are shown longer
_WIDE, _HIGH = 1280, 800  # pixels of the page
_WIDTH = 960  # pixels of the animation
_QUALITY = 62
_MOST_BYTES = 1_500_000
_FILLED_S = 8.0  # of the timeline, before recording


def main(argv: list[str]) -> int:
    """Writes the animation."""
    parser = command.Parser(prog="record_viewer.py", description=__doc__)
    parser.add_argument("out", type=Path, help="a .webp or .gif file")
    parser.add_argument("--checkpoint", default="crowd", help="as for `fer-jax live`")
    options = parser.parse_args(argv)
    server = subprocess.Popen(
        [
            *child_command("server", "--source", "demo", "--port", 0, "--no-browser"),
            *("--checkpoint", options.checkpoint),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        url = re.search(r"http://\S+", server.stdout.readline())
        if url is None:
            raise FerError("the server did not start")
        images, times = _screenshots(url[0])
    finally:
        server.terminate()
        server.wait()
    _write(options.out, images, times)
    size = options.out.stat().st_size
    if size > _MOST_BYTES:
        raise FerError(f"{options.out} has {size:,} bytes, more than {_MOST_BYTES:,}")
    print(f"{options.out}: {len(images)} images, {times[-1] - times[0]:.1f} s, {size:,} bytes")
    return 0


def _screenshots(url: str) -> tuple[list[Image.Image], list[float]]:
    """Returns images of the page with one face in it, and their times in seconds."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        raise FerError("needs a Chromium: apt-get install chromium")
    images, times = [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path)
        page = browser.new_page(viewport={"width": _WIDE, "height": _HIGH})
        page.goto(url)
        page.locator("#cards li").first.wait_for(timeout=120_000)
        page.wait_for_timeout(1000 * _FILLED_S)
        begin_s = time.monotonic()
        while (now_s := time.monotonic()) < begin_s + _SECONDS:
            data = page.screenshot(type="jpeg", quality=95)
            images.append(Image.open(io.BytesIO(data)).convert("RGB"))
            times.append(now_s)
            left_s = now_s + 1 / _FPS - time.monotonic()
            page.wait_for_timeout(max(0.0, 1000 * left_s))
        browser.close()
    times.append(time.monotonic())
    return images, times


def _write(out: Path, images: list[Image.Image], times: list[float]) -> None:
    size = _WIDTH, _WIDTH * _HIGH // _WIDE
    first, *others = (image.resize(size, Image.Resampling.LANCZOS) for image in images)
    durations = [round(1000 * (b - a)) for a, b in itertools.pairwise(times)]
    quality = {"quality": _QUALITY, "method": 6} if out.suffix == ".webp" else {}
    first.save(out, save_all=True, append_images=others, duration=durations, loop=0, **quality)


if __name__ == "__main__":
    sys.exit(command.run(main))
