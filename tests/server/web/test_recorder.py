"""The page's export, as its module writes it in Chromium."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fer_jax.expressions import EXPRESSIONS
from fer_jax.scoring.writers import read_rows
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
  const labels = LABELS;
  const shares = (best) =>
    Object.fromEntries(labels.map((label) => [label, label === best ? 0.4 : 0.1]));
  const recorder = new Recorder(labels, 0.3);
  const face = { track: 7, box: [-1, 2, 3, 4], detection_score: 1, expression: "fear", confidence: 0.4,
                 uncertain: true, quality: "ok", probabilities: shares("fear"), raw: shares("happy") };
  recorder.add({ camera: "-1+cmd", number: 1, wall_s: 0, faces: [face] }, null);
  const faces = [face, { ...face, quality: "dark" }];
  recorder.add({ camera: "desk", number: 9, wall_s: 2.0, faces: [] }, 0.5);
  recorder.add({ camera: "desk", number: 12, wall_s: 2.5, faces }, 0.5);
  return recorder.csv();
}""".replace("LABELS", str(list(EXPRESSIONS)))


def test_an_export_is_a_scoring_csv_without_formulas(live: LiveServer, tmp_path: Path) -> None:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{live.port}/healthz")
        text: str = page.evaluate(EXPORT)
        browser.close()
    assert text.splitlines()[1].split(",")[0] == "'-1+cmd"
    (tmp_path / "faces.csv").write_text(text)
    first, second, third = read_rows(tmp_path / "faces.csv")
    assert (first.path, first.frame, first.time_s, first.face, first.track) == (
        "-1+cmd",
        0,
        0,
        1,
        7,
    )
    assert first.box == (-1, 2, 3, 4)
    assert (first.expression, first.confidence, first.smooth_expression) == ("happy", 0.4, "fear")
    assert first.probabilities is not None
    assert first.probabilities[EXPRESSIONS.index("happy")] == 0.4
    assert (second.frame, second.time_s, third.face) == (3, 2.5, 2)
    assert [row.uncertain for row in (first, second, third)] == [False, True, True]
    assert [row.quality for row in (first, second, third)] == ["ok", "ok", "dark"]
