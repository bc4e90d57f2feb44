"""The policy of a page that is a file: only its own style and images, nothing injected."""

from __future__ import annotations

import base64
from pathlib import Path

import cv2
import numpy as np

from fer_jax.media.html_page import html_page
from fer_jax.scoring.summary import Summary
from fer_jax.scoring.summary_page import page as summary_page
from tests.chromium import opened_file
from tests.scoring.sample_rows import FACE

INJECTED = (
    "<script>document.title = 'taken over'</script>"
    "<img id=remote src='http://127.0.0.1:9/x.png'>"
    "<p id=styled style='width:7px'>x</p>"
)


def jpeg() -> str:
    encoded = cv2.imencode(".jpg", np.full((20, 20, 3), 99, np.uint8))[1]
    return base64.b64encode(encoded.tobytes()).decode()


def test_a_browser_refuses_whatever_was_injected_into_a_page(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(html_page("a < b", [INJECTED], style="#styled{width:99px}"))
    with opened_file(path) as (page, complaints):
        assert page.title() == "a < b"
        assert page.eval_on_selector("#styled", "e => getComputedStyle(e).width") == "99px"
        directives = ("script-src", "img-src", "style-src")
        page.wait_for_function("document.readyState === 'complete'")
        refused = "\n".join(complaints)
        assert all(name in refused or "default-src" in refused for name in directives)
        assert "127.0.0.1:9" in refused


def test_the_summary_shows_its_faces_and_bars_under_its_policy(tmp_path: Path) -> None:
    summary = Summary()
    summary.add(FACE, jpeg())
    path = tmp_path / "summary.html"
    path.write_text(summary_page(summary, title="faces.csv"))
    assert "style=" not in path.read_text()
    with opened_file(path) as (page, complaints):
        assert page.locator("img").first.evaluate("image => image.naturalWidth") == 20
        bars = page.locator(".bars rect")
        widths = [bars.nth(n).bounding_box()["width"] for n in range(7)]
        assert widths[3] > 100
        assert sum(width > 0 for width in widths) == 1
        assert page.locator("body").evaluate("e => getComputedStyle(e).maxWidth") == "1080px"
        assert complaints == []
