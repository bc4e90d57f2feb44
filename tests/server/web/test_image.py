"""What the page draws over the live image, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install playwright")
from playwright.sync_api import Page, expect

from fer_jax.faces.detect import make_detector
from tests.server.live_server import LiveServer, settings_of
from tests.server.pages import IMAGE, PHOTO, eventually, expect_changes

OpenPage = Callable[..., Page]
LIT = re.compile(r"\blit\b")
WIDTH, HEIGHT, FPS = 640, 360, 30
MARK, MARK_AT = (255, 0, 255), (70, 12)  # magenta, this far right of and below the face's corner
FACE = 180  # pixels, of the pasted piece

# Records the positions of each frame's mark and of the box over it, as shares of the width.
WATCH = """
  window.drawn = [];
  const image = CanvasRenderingContext2D.prototype.drawImage;
  const box = CanvasRenderingContext2D.prototype.strokeRect;
  const small = document.createElement("canvas");
  [small.width, small.height] = [320, 180];
  const eye = small.getContext("2d", { willReadFrequently: true });
  CanvasRenderingContext2D.prototype.drawImage = function (source, ...rest) {
    image.call(this, source, ...rest);
    if (this.canvas.id !== "image") return;
    image.call(eye, source, 0, 0, 320, 180);
    const { data } = eye.getImageData(0, 0, 320, 180);
    let [sum, count] = [0, 0];
    for (let n = 0; n < data.length; n += 4) {
      const magenta = data[n] > 180 && data[n + 1] < 90 && data[n + 2] > 180;
      if (magenta) [sum, count] = [sum + (n / 4) % 320, count + 1];
    }
    const scale = Math.min(this.canvas.width / 640, this.canvas.height / 360) * 640;
    const left = (this.canvas.width - scale) / 2;
    window.drawn.push({ mark: count ? (sum / count + 0.5) / 320 : null, boxes: [], scale, left });
  };
  CanvasRenderingContext2D.prototype.strokeRect = function (x, y, wide, high) {
    box.call(this, x, y, wide, high);
    if (this.canvas.id !== "image" || !window.drawn.length) return;
    const frame = window.drawn.at(-1);
    frame.boxes.push((x + wide / 2 - frame.left) / frame.scale);
  };
"""


def face_piece() -> np.ndarray:
    photo = cv2.imread(str(PHOTO))
    assert photo is not None
    piece = cv2.resize(photo[70:410, 90:430], (FACE, FACE), interpolation=cv2.INTER_AREA)
    x, y = MARK_AT
    cv2.rectangle(piece, (x, y), (x + 19, y + 15), MARK[::-1], cv2.FILLED)
    return piece


def write_moving_face(path: Path) -> float:
    """Writes three seconds of a face swinging across the image; returns box minus mark, in widths.

    It moves by up to 4 % of the width per frame: the previous frame's box would be off.
    """
    piece, detector, offsets = face_piece(), make_detector("yunet", detect_size=320), list[float]()
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), FPS, (WIDTH, HEIGHT))
    for n in range(3 * FPS):
        frame = np.full((HEIGHT, WIDTH, 3), 215, np.uint8)
        left = round(230 + 200 * np.sin(2 * np.pi * n / 50))
        frame[90 : 90 + FACE, left : left + FACE] = piece
        writer.write(frame)
        for found in detector.detect(np.ascontiguousarray(frame[..., ::-1])):
            offsets.append((found.x + found.width / 2 - left - MARK_AT[0] - 10) / WIDTH)
    writer.release()
    assert len(offsets) == 3 * FPS
    return float(np.median(offsets))


@pytest.fixture(scope="module")
def swing(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    path = tmp_path_factory.mktemp("video") / "swing.avi"
    return path, write_moving_face(path)


def test_a_box_stays_on_its_face_even_when_the_face_moves(
    open_page: OpenPage, checkpoint: str, swing: tuple[Path, float]
):
    path, offset = swing
    with LiveServer(settings_of(checkpoint, f"swing={path}")) as server:
        server.wait_ready()
        page = open_page(f"http://127.0.0.1:{server.port}/", script=WATCH)
        expect(page.locator("#cards .card").first).to_be_visible()
        page.evaluate("() => { window.drawn = []; }")
        eventually(lambda: page.evaluate("() => window.drawn.length") > 120, "frames are drawn")
        drawn: list[dict[str, Any]] = page.evaluate("() => window.drawn")
    with_box = [one for one in drawn if one["mark"] is not None and one["boxes"]]
    assert len(with_box) > 0.8 * len(drawn)
    errors = [abs(one["boxes"][0] - one["mark"] - offset) for one in with_box]
    speeds = np.abs(np.diff([one["mark"] for one in with_box]))
    assert speeds.max() > 0.03, "the face hardly moves"
    assert np.percentile(errors, 99) < 0.03, np.percentile(errors, [50, 90, 99, 100])


def test_overlays_can_be_switched_off_and_on_while_paused(open_page: OpenPage, checkpoint: str):
    pixels = """() => {
      const { width, height } = document.querySelector("#image");
      const context = document.querySelector("#image").getContext("2d");
      let hash = 0;
      for (const value of context.getImageData(0, 0, width, height).data) hash = (31 * hash + value) | 0;
      return [width, height, hash];
    }"""
    with LiveServer(settings_of(checkpoint, "demo")) as server:
        server.wait_ready()
        page = open_page(f"http://127.0.0.1:{server.port}/", device_scale_factor=2)
        expect(page.locator("#cards .card").first).to_be_visible()
        expect_changes(page, IMAGE, "the image")
        page.keyboard.press("Space")
        expect(page.locator("#badge")).to_be_visible()
        expect(page.locator("#pause-text")).to_have_text("Resume")
        width, height, before = page.evaluate(pixels)
        box = page.locator("#image").bounding_box()
        assert box is not None
        assert (width, height) == pytest.approx((2 * box["width"], 2 * box["height"]), abs=2)
        page.get_by_role("button", name="Settings").click()
        seen = {before}
        for name in ("Bars", "Names", "Confidence", "Boxes"):
            page.get_by_label(name, exact=True).click()
            seen.add(page.evaluate(pixels)[2])
        assert len(seen) == 5, "each choice changes what is drawn"
        page.reload()
        page.get_by_role("button", name="Settings").click()
        expect(page.get_by_label("Bars", exact=True)).to_be_checked()
        expect(page.get_by_label("Boxes", exact=True)).not_to_be_checked()
        page.get_by_label("Rotate").select_option("90")
        eventually(
            lambda: server.get("/api/cameras").json["cameras"][0]["controls"]["rotate"] == 90,
            "the camera is rotated",
        )


def test_a_card_highlights_its_box_and_a_box_its_card(open_page: OpenPage, url: str):
    page = open_page(url + "?camera=demo")
    card = page.locator("#cards .card").first
    expect(card).to_be_visible()
    expect_changes(page, IMAGE, "the image")
    widest = """() => new Promise((done) => {
      const draw = CanvasRenderingContext2D.prototype.strokeRect;
      let width = 0;
      CanvasRenderingContext2D.prototype.strokeRect = function (...box) {
        draw.apply(this, box);
        if (this.canvas.id === "image") width = Math.max(width, this.lineWidth);
      };
      setTimeout(() => {
        CanvasRenderingContext2D.prototype.strokeRect = draw;
        done(width);
      }, 600);
    })"""
    thin = page.evaluate(widest)
    card.hover()
    assert page.evaluate(widest) > thin > 0
    expect(card).to_have_class(LIT)
    page.locator("#faces-title").hover()
    expect(card).not_to_have_class(LIT)
    stage = page.locator("#image").bounding_box()
    assert stage is not None
    page.mouse.move(stage["x"] + stage["width"] / 2, stage["y"] + 0.45 * stage["height"])
    expect(card).to_have_class(LIT)
