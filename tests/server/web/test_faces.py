"""The cards of many faces, in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install playwright")
from playwright.sync_api import Page, expect

from tests.server.live_server import LiveServer, settings_of
from tests.server.network_camera import StillCamera
from tests.server.pages import PHOTO
from tests.shared_files import shared_file

OpenPage = Callable[..., Page]

# Every 100 ms for some seconds: the cards in view, how many are complete, whether labels fit bars.
COUNT = """(seconds) => new Promise((done) => {
  const found = { cards: 0, whole: 0, labels: 0, wrong: 0, most: 0, order: 0 };
  const until = performance.now() + 1000 * seconds;
  const look = () => {
    const cards = [...document.querySelectorAll("#cards .card:not(.lost)")];
    found.most = Math.max(found.most, cards.length);
    const numbers = cards.map((card) => Number(card.dataset.track));
    if (numbers.some((number, n) => n && number < numbers[n - 1])) found.order += 1;
    for (const card of cards) {
      const { left, top, right, bottom } = card.getBoundingClientRect();
      const list = document.querySelector("#cards").getBoundingClientRect();
      const edge = Math.min(innerHeight, list.bottom);
      found.cards += 1;
      found.whole += left >= 0 && right <= innerWidth && top >= 0 && bottom <= edge + 1;
      const label = card.querySelector(".card-label").textContent;
      const rows = [...card.querySelectorAll(".bars li")];
      const fill = (row) => row.querySelector(".bar-fill").style;
      const share = (row) => parseFloat(fill(row).getPropertyValue("--share"));
      const most = Math.max(...rows.map(share));
      const longest = rows.filter((row) => share(row) === most);
      const named = longest.some((row) => row.querySelector(".bar-name").textContent === label);
      found.labels += 1;
      found.wrong += label !== "changing" && !named;
    }
    if (performance.now() < until) setTimeout(look, 100);
    else done(found);
  };
  look();
})"""

SHIFTS = """
  window.shifts = [];
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const outside = entry.sources.filter(({ node }) => node && !node.closest?.("#cards"));
      window.shifts.push([entry.value, ...outside.map(({ node }) => node.id || node.nodeName)]);
    }
  }).observe({ type: "layout-shift", buffered: true });
"""


def test_the_cards_of_many_faces_are_whole_in_order_and_named_after_their_longest_bar(
    open_page: OpenPage, checkpoint: str
):
    clip = shared_file("media/hamilton_clip.mp4")
    with LiveServer(settings_of(checkpoint, f"people={clip}")) as server:
        server.wait_ready()
        page = open_page(f"http://127.0.0.1:{server.port}/", size=(1440, 900), script=SHIFTS)
        expect(page.locator("#cards .card").first).to_be_visible()
        page.evaluate("() => { window.shifts = []; }")
        found: dict[str, int] = page.evaluate(COUNT, 10)
        shifts: list[Any] = page.evaluate("() => window.shifts")
    assert found["most"] >= 3
    assert found["whole"] > 0.9 * found["cards"], found
    assert found["wrong"] <= 0.01 * found["labels"], found
    assert found["order"] == 0, found
    beside = [shift for shift in shifts if len(shift) > 1]
    assert not beside, "something other than the cards moved"
    assert sum(shift[0] for shift in shifts) < 0.1  # "good" by Web Vitals, for all ten seconds


def test_cards_collapse_to_lines_from_three_faces_on_and_open_on_a_click(
    open_page: OpenPage, checkpoint: str
):
    clip = shared_file("media/hamilton_clip.mp4")
    with LiveServer(settings_of(checkpoint, f"people={clip}")) as server:
        server.wait_ready()
        page = open_page(f"http://127.0.0.1:{server.port}/", size=(1440, 900))
        expect(page.locator("#cards.compact .card:not(.lost)").nth(2)).to_be_visible()
        page.keyboard.press("Space")
        expect(page.locator("#badge")).to_be_visible()
        cards = page.locator("#cards .card")
        card = cards.last
        expect(card.locator(".card-body")).to_be_hidden()
        height = card.bounding_box()["height"]  # type: ignore[index]
        assert height <= 56
        assert card.locator(".stack-part").count() == 7
        card.locator(".card-toggle").click()
        expect(card.locator(".bar-name")).to_have_count(7)
        expect(card.locator(".card-body")).to_be_visible()
        expect(card.locator(".card-toggle")).to_have_attribute("aria-expanded", "true")


def test_a_still_image_keeps_its_card_and_is_analysed_once(open_page: OpenPage, checkpoint: str):
    away = StillCamera(PHOTO.read_bytes())
    try:
        settings = settings_of(checkpoint, f"still={away.where}", still_fps=1.0)
        with LiveServer(settings) as server:
            server.wait_ready()
            page = open_page(f"http://127.0.0.1:{server.port}/")
            expect(page.locator("#cards .card")).to_have_count(1)
            expect(page.locator("#state-text")).to_have_text("Live")
            asked = away.asked
            while away.asked < asked + 3:
                assert page.locator("#cards .card:not(.lost)").count() == 1
                page.wait_for_timeout(100)
            metrics = server.get("/metrics").body.decode()
    finally:
        away.unplug()
    assert "\nfer_batch_rows_count 1.0\n" in metrics
