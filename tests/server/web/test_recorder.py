"""What the page exports, as its own module writes it in Chromium."""

from __future__ import annotations

import shutil

import pytest

from tests.server.live_server import LiveServer

sync_api = pytest.importorskip(
    "playwright.sync_api", reason="needs Playwright: pip install playwright"
)
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="needs a Chromium: apt-get install chromium"
)
EXPORT = """async () => {
  const { Recorder } = await import("/static/recorder.js");
  const recorder = new Recorder(["happy"]);
  const face = { track: 1, box: [-1, 2, 3, 4], detection_score: 1, expression: "happy",
                 confidence: 1, uncertain: false, probabilities: { happy: 1 }, raw: { happy: 1 } };
  recorder.add({ camera: "-1+cmd", number: 1, wall_s: 0, faces: [face] });
  return recorder.csv();
}"""


def test_no_cell_of_an_export_is_a_formula(live: LiveServer) -> None:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{live.port}/healthz")
        row = page.evaluate(EXPORT).splitlines()[1].split(",")
        browser.close()
    assert row[1] == "'-1+cmd"
    assert row[4] == "-1.0"  # a number stays one
