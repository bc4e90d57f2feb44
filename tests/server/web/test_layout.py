"""The page's layout in numbers: on phones, on dense screens, next to each other."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fer_jax.expressions import EXPRESSIONS

pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install playwright")
from playwright.sync_api import Page, expect

from tests.faces.sample_media import photo, write_video
from tests.server.live_server import LiveServer, settings_of
from tests.server.pages import PHOTO, drop

OpenPage = Callable[..., Page]
PHONE = {"has_touch": True, "is_mobile": True}

# Controls smaller than `least` CSS pixels either way; a labelled box counts with its label.
SMALL = """(least) => [...document.querySelectorAll("button, select, input")]
  .filter((one) => one.checkVisibility({ visibilityProperty: true }))
  .map((one) => [one, (one.closest("label") ?? one).getBoundingClientRect()])
  .filter(([, { width, height }]) => width < least - 0.5 || height < least - 0.5)
  .map(([one, { width, height }]) => `${one.id || one.className} ${width} x ${height}`)"""

# Canvas pixels per CSS pixel.
DENSITY = "(canvas) => canvas.width / canvas.clientWidth"

# The plates behind the labels of twelve faces side by side: [x, y, width, height, text].
PLATES = """async () => {
  const { drawFaces } = await import("/static/overlay.js");
  const labels = LABELS;
  const probabilities = Object.fromEntries(labels.map((label) => [label, label === "neutral" ? 1 : 0]));
  const face = (n) => ({
    track: n + 1, name: `#${n + 1}`, box: [40 + 120 * (n % 6), 60 + 90 * Math.floor(n / 6), 40, 50],
    expression: "neutral", confidence: 0.9, uncertain: true, quality: "flat", probabilities,
  });
  const context = document.createElement("canvas").getContext("2d");
  const plates = [];
  let plate = null;
  context.fillRect = (...box) => (plate ??= box);
  context.fillText = (text) => {
    plates.push([...plate, text]);
    plate = null;
  };
  const looks = { labels, colours: Object.fromEntries(labels.map((label) => [label, "red"])) };
  const shows = { boxes: true, names: true, bars: false, confidence: true };
  drawFaces(context, Array.from({ length: 12 }, (_, n) => face(n)), looks,
            { unit: 1, width: 760, height: 300, shows });
  return plates;
}""".replace("LABELS", str(list(EXPRESSIONS)))


def box_of(page: Page, selector: str) -> dict[str, float]:
    box = page.locator(selector).first.bounding_box()
    assert box is not None, selector
    return {**box, "right": box["x"] + box["width"], "bottom": box["y"] + box["height"]}


def test_controls_are_large_enough_for_fingers_on_a_phone_and_for_a_pointer_everywhere(
    open_page: OpenPage, url: str
):
    for size, least, options in (((360, 780), 44, PHONE), ((1440, 900), 24, {})):
        page = open_page(url + "?camera=demo", size=size, **options)
        expect(page.locator("#cards .card").first).to_be_visible()
        assert page.evaluate(SMALL, least) == []
        page.locator("#tune").click()
        expect(page.locator("#tuning")).to_be_visible()
        assert page.evaluate(SMALL, least) == []
        assert page.evaluate("() => document.documentElement.scrollWidth") == size[0]


def test_a_dense_screen_gets_an_image_a_timeline_and_thumbnails_of_its_own_sharpness(
    open_page: OpenPage, url: str
):
    page = open_page(url + "?camera=demo", size=(360, 780), device_scale_factor=3, **PHONE)
    expect(page.locator(".card-thumbnail:not(.empty)").first).to_be_visible()
    for selector in ("#image", "#timeline-canvas", ".card-thumbnail"):
        assert page.locator(selector).first.evaluate(DENSITY) >= 2.99, selector
    drop(page, PHOTO.name, PHOTO.read_bytes())
    photo = page.get_by_role("dialog").locator(".photo").first
    expect(photo.locator(".photo-faces .card")).to_have_count(1)
    assert photo.locator("canvas").evaluate("one => one.height / one.clientHeight") >= 2.9
    with page.expect_download() as download:
        photo.get_by_role("button", name="Save annotated image").click()
    saved = cv2.imread(str(Path(download.value.path())))
    assert saved is not None
    assert saved.shape == (600, 512, 3)  # as large as the photo on any screen


def test_a_long_reason_fits_on_a_phone_and_changes_no_card_height(open_page: OpenPage, url: str):
    page = open_page(url + "?camera=demo", size=(360, 780), **PHONE)
    card = page.locator("#cards .card").first
    expect(card).to_be_visible()
    before = box_of(page, "#cards .card")["height"]
    mark: dict[str, Any] = card.evaluate(
        """(card) => {
          card.querySelector(".card-label").textContent = "surprise";
          card.querySelector(".card-confidence").textContent = "100 %";
          const mark = card.querySelector(".card-uncertain");
          mark.hidden = false;
          mark.textContent = "too little contrast";
          const ask = card.querySelector(".why").getBoundingClientRect();
          const parts = [...card.querySelectorAll(".card-text > *")];
          const right = Math.max(...parts.map((one) => one.getBoundingClientRect().right));
          return { cut: mark.scrollWidth - mark.clientWidth, height: card.offsetHeight,
                   room: ask.left - right };
        }"""
    )
    assert mark["cut"] <= 0
    assert mark["room"] >= 0
    assert mark["height"] == pytest.approx(before, abs=2)


@pytest.mark.parametrize("shape", [(640, 360), (640, 480), (360, 640)], ids=str)
@pytest.mark.parametrize("size", [(1440, 900), (1920, 1080)], ids=lambda size: str(size[0]))
def test_the_timeline_is_below_the_image_and_the_cards_fill_the_windows_height(
    open_page: OpenPage,
    checkpoint: str,
    tmp_path: Path,
    size: tuple[int, int],
    shape: tuple[int, int],
):
    wide, high = shape
    image = np.zeros((high, wide, 3), np.uint8)
    image[-300:, (wide - 256) // 2 :][:, :256] = cv2.resize(photo(), (256, 300))
    video = write_video(tmp_path / "film.avi", [image] * 30, codec="MJPG", fps=15)
    with LiveServer(settings_of(checkpoint, f"film={video}")) as server:
        page = open_page(f"http://127.0.0.1:{server.port}/", size=size)
        expect(page.locator("#cards .card").first).to_be_visible()
        stage, past, faces = (box_of(page, one) for one in ("#stage", ".past", ".faces"))
        bar, foot = box_of(page, ".bar"), box_of(page, ".foot")
    assert stage["height"] >= 0.52 * size[1]
    assert stage["bottom"] <= bar["y"] < bar["bottom"] <= past["y"]
    assert past["bottom"] <= foot["y"]
    assert past["right"] == pytest.approx(stage["right"], abs=1)
    assert stage["right"] < faces["x"]
    assert faces["bottom"] >= past["bottom"] - 45


def test_on_a_phone_the_faces_come_last_because_their_number_changes(open_page: OpenPage, url: str):
    page = open_page(url + "?camera=demo", size=(360, 780), **PHONE)
    expect(page.locator("#cards .card").first).to_be_visible()
    stage, past, faces = (box_of(page, one) for one in ("#stage", ".past", ".faces"))
    assert stage["bottom"] < past["y"] < past["bottom"] < faces["y"]


def test_cameras_that_do_not_fit_fade_out_and_scroll_into_view_when_chosen(
    open_page: OpenPage, checkpoint: str
):
    others = [f"entrance-of-the-hall-{n}=http://127.0.0.1:9/x" for n in range(5)]
    with LiveServer(settings_of(checkpoint, "demo", *others)) as server:
        server.wait_ready()
        page = open_page(f"http://127.0.0.1:{server.port}/?camera=demo", size=(360, 780))
        switcher = page.locator("#switcher")
        expect(switcher).to_have_attribute("data-more", "right")
        page.locator("input[value=demo]").focus()
        page.keyboard.press("ArrowLeft")  # the last one
        expect(switcher).to_have_attribute("data-more", "left")
        last, all_of_them = box_of(page, ".chip:last-child"), box_of(page, "#switcher")
        assert all_of_them["x"] <= last["x"] < last["right"] <= all_of_them["right"] + 1
        assert page.evaluate("() => document.documentElement.scrollWidth") == 360
        expect(page.locator("#notice")).to_contain_text(re.compile("^http://"))
        switcher.hover()
        page.mouse.wheel(0, -5000)
        expect(switcher).to_have_attribute("data-more", "right")
        page.set_viewport_size({"width": 1920, "height": 1080})
        expect(switcher).not_to_have_attribute("data-more", re.compile("."))


def test_a_wall_of_two_cameras_fills_a_wide_window(open_page: OpenPage, checkpoint: str):
    with LiveServer(settings_of(checkpoint, "demo", "browser")) as server:
        server.wait_ready()
        page = open_page(f"http://127.0.0.1:{server.port}/?wall=1", size=(1920, 1080))
        expect(page.locator(".tile")).to_have_count(2)
        boxes = [tile.bounding_box() for tile in page.locator(".tile").all()]
        assert sum(box["width"] for box in boxes if box) >= 0.95 * 1920


def test_labels_of_a_crowd_get_shorter_rather_than_overlap(open_page: OpenPage, url: str):
    plates: list[list[Any]] = open_page(url).evaluate(PLATES)
    assert len(plates) == 12
    for n, (x, y, wide, high, text) in enumerate(plates):
        assert text.startswith(f"#{n + 1}")
        for left, top, across, tall, other in plates[:n]:
            apart = x >= left + across or left >= x + wide or y >= top + tall or top >= y + high
            assert apart, (text, other)


# The dashes of the last stroke around a certain and an uncertain face, and their labels.
STROKES = """async () => {
  const { drawFaces } = await import("/static/overlay.js");
  const context = document.createElement("canvas").getContext("2d");
  const strokes = [], texts = [];
  let dash = [];
  context.setLineDash = (given) => (dash = given);
  context.strokeRect = () => strokes.push(dash);
  context.fillText = (text) => texts.push(text);
  const labels = LABELS;
  const looks = { labels, colours: Object.fromEntries(labels.map((label) => [label, "red"])) };
  const shows = { boxes: true, names: true, bars: false, confidence: true };
  const face = { track: 1, name: "#1", box: [100, 90, 60, 80], expression: "happy", confidence: 0.4,
                 probabilities: Object.fromEntries(labels.map((label) => [label, 1 / 7])) };
  for (const state of [{ uncertain: false, quality: "ok" }, { uncertain: true, quality: "dark" }]) {
    drawFaces(context, [{ ...face, ...state }], looks, { unit: 1, width: 640, height: 360, shows });
    strokes.push("next");
  }
  return [strokes, texts];
}""".replace("LABELS", str(list(EXPRESSIONS)))

# Seconds that the timeline shows, a number of seconds after its first face.
SPANS = """async () => {
  const { Timeline } = await import("/static/timeline.js");
  const { make } = await import("/static/looks.js");
  const [place, canvas] = [make("div"), make("canvas")];
  place.append(canvas);
  document.body.append(place);
  const timeline = new Timeline({ canvas, count: make("span") }, { labels: [], colours: {} });
  timeline.add([], 30, 1000);
  return [1, 4, 10, 25, 59, 300].map((seconds) => {
    timeline.draw(1000 * (1 + seconds));
    return timeline.span;
  });
}"""


def test_an_uncertain_face_has_a_dashed_box_and_its_reason(open_page: OpenPage, url: str):
    strokes, texts = open_page(url).evaluate(STROKES)
    first = strokes.index("next")
    assert not any(strokes[:first])  # solid lines
    assert strokes[-2]  # dashed, over a dim solid one
    assert [text.endswith("too dark") for text in texts] == [False, True]


def test_the_timelines_scale_grows_from_ten_seconds_to_a_minute(open_page: OpenPage, url: str):
    assert open_page(url).evaluate(SPANS) == [10, 10, 10, 25, 59, 60]
