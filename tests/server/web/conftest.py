"""A browser for the tests of the page; its pages fail on any error."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.server.live_server import LiveServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    OpenPage = Callable[..., Page]

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


@pytest.fixture(scope="session")
def face_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of a real face, moving, in the format that Chromium's fake camera reads."""
    pages = pytest.importorskip("tests.server.pages", reason="needs Playwright")
    path = tmp_path_factory.mktemp("video") / "face.y4m"
    pages.write_face_video(path)
    return path


@pytest.fixture(scope="module")
def browser(face_video: Path) -> Iterator[Browser]:
    """One browser for a module's pages; its camera shows `face_video`."""
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="needs Playwright: pip install playwright"
    )
    if CHROMIUM is None:
        pytest.skip("needs a Chromium: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-video-capture={face_video}",
            ],
        )
        yield running
        running.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Opens pages; fails if one had an error or sent a request to another site."""
    sync_api, pages = (
        importlib.import_module(name) for name in ("playwright.sync_api", "tests.server.pages")
    )
    contexts, problems = [], []

    def note(message: Any) -> None:
        refused = "Failed to load resource" in message.text or "net::ERR" in message.text
        if message.type == "error" and not refused:
            problems.append(message.text)

    def opened(
        url: str, *, size: tuple[int, int] = (1280, 800), script: str = "", **options: Any
    ) -> Page:
        viewport: Any = dict(zip(("width", "height"), size, strict=True))
        context = browser.new_context(viewport=viewport, **options)
        context.set_default_timeout(pages.PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("console", note)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda request: note_foreign(request.url, url))
        if script:
            page.add_init_script(script)
        page.goto(url)
        return page

    def note_foreign(address: str, url: str) -> None:
        home = "/".join(url.split("/")[:3])
        if not address.startswith((home, home.replace("http", "ws", 1), "blob:", "data:")):
            problems.append(f"asked {address}")

    sync_api.expect.set_options(timeout=pages.PATIENCE_MS)
    yield opened
    for context in contexts:
        context.close()
    assert not problems


@pytest.fixture(scope="module")
def url(live: LiveServer) -> str:
    return f"http://127.0.0.1:{live.port}/"
