"""The page as viewers see it, in a real browser."""

from __future__ import annotations

import shutil

import pytest

from tests.server.live_server import LiveServer, settings_of

sync_api = pytest.importorskip(
    "playwright.sync_api", reason="needs Playwright: pip install playwright"
)

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="needs a Chromium: apt-get install chromium"
)
OPERATOR, VIEWER = "correct-horse-battery", "only-looking-around"
CONTROLS = ("#mirror", "#pause", "#record", "#privacy", "#smoothing", "#threshold")


def test_viewers_see_the_image_and_disabled_controls(checkpoint: str) -> None:
    settings = settings_of(checkpoint, token=OPERATOR, viewer_token=VIEWER)
    with LiveServer(settings) as server, sync_api.sync_playwright() as playwright:
        server.wait_ready()
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        for token, changes in ((VIEWER, False), (OPERATOR, True)):
            page = browser.new_context().new_page()
            page.set_default_timeout(60_000)
            page.goto(f"http://127.0.0.1:{server.port}/login?token={token}")
            sync_api.expect(page.locator(".card-thumbnail:not(.empty)")).to_be_visible(
                timeout=60_000
            )
            assert token not in page.url
            for control in CONTROLS:
                expected = sync_api.expect(page.locator(control))
                if changes:
                    expected.to_be_enabled()
                else:
                    expected.to_be_disabled()
            sync_api.expect(page.locator("#visitor")).to_be_visible(visible=changes)
            page.get_by_role("button", name="Sign out").click()
            sync_api.expect(page.get_by_label("Access token")).to_be_visible()
            page.goto(f"http://127.0.0.1:{server.port}/")
            assert page.url.endswith("/login")
            page.context.close()
        browser.close()
