"""The viewer in a real browser: Debian's Chromium, driven by Playwright, against a real server."""

from __future__ import annotations

import base64
import csv
import io
import os
import re
import signal
import socket
import threading
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fer_jax.expressions import COLOURS, EXPRESSIONS
from fer_jax.faces.quality import QUALITIES

sync_api = pytest.importorskip(
    "playwright.sync_api", reason="needs Playwright: pip install playwright"
)
from playwright.sync_api import Page, expect  # noqa: E402

from tests.server.live_server import LiveServer, settings_of  # noqa: E402
from tests.server.pages import (  # noqa: E402
    GROUND,
    IMAGE,
    PHOTO,
    TIMELINE,
    drop,
    eventually,
    expect_changes,
    own_server,
)

OpenPage = Callable[..., Page]
PLAYS = """(data) => new Promise((done) => {
  const video = document.createElement("video");
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  video.addEventListener("canplaythrough", () => done(video.readyState));
  video.addEventListener("error", () => done(-video.error.code));
  video.src = URL.createObjectURL(new Blob([bytes], { type: "video/mp4" }));
})"""


def camera_of(server: LiveServer, name: str) -> dict[str, Any]:
    cameras = server.get("/api/cameras").json["cameras"]
    return next(camera for camera in cameras if camera["name"] == name)


def test_a_page_shows_frames_that_change_a_card_per_face_and_a_timeline_that_moves(
    open_page: OpenPage, url: str
):
    page = open_page(url)
    expect(page.locator("#image")).to_be_visible()
    expect_changes(page, IMAGE, "the image")
    card = page.locator("#cards .card").first
    expect(card).to_be_visible()
    assert card.locator(".bar-name").all_inner_texts() == [name.title() for name in EXPRESSIONS]
    values = [int(re.sub(r"\D", "", text)) for text in card.locator(".bar-value").all_inner_texts()]
    assert 95 <= sum(values) <= 105
    assert card.locator(".card-label").inner_text().lower() in (*EXPRESSIONS, "changing")
    assert card.locator(".card-head").inner_text().count("%") <= 1
    expect_changes(page, TIMELINE, "the timeline")
    expect(page.locator("#timeline-canvas")).to_have_attribute(
        "aria-label", re.compile(rf"face \d+ ({'|'.join(EXPRESSIONS)}) \d+ s")
    )
    figures = page.locator("#figures")
    for pattern in (r"\d fps", r"\d ms", r"320\W+240", r"1 viewer"):
        expect(figures).to_contain_text(re.compile(pattern))
    expect(page.locator("#state-text")).to_have_text("Live")
    expect(page.locator(".foot")).to_contain_text("Nothing is stored")
    expect(page.locator("#notice")).to_contain_text("no webcam")
    expect(page.get_by_role("button", name="Sign out")).to_be_hidden()  # there is no session


def test_expressions_differ_by_pattern_and_not_by_colour_alone(open_page: OpenPage, url: str):
    page = open_page(url)
    expect(page.locator("#cards .card").first).to_be_visible()
    looks = page.evaluate(
        """() => [...document.querySelector(".bars").querySelectorAll(".bar-fill")].map((bar) => {
          const { backgroundImage, backgroundSize, backgroundColor } = getComputedStyle(bar);
          return [backgroundImage + backgroundSize, backgroundColor];
        })"""
    )
    patterns, colours = zip(*looks, strict=True)
    assert len(set(patterns)) == len(EXPRESSIONS)
    served = [tuple(bytes.fromhex(COLOURS[name][1:])) for name in EXPRESSIONS]
    assert [tuple(map(int, re.findall(r"\d+", colour))) for colour in colours] == served


def test_the_theme_follows_the_system_until_the_visitor_switches_and_is_remembered(
    open_page: OpenPage, url: str
):
    page = open_page(url, color_scheme="dark")
    dark = page.evaluate(GROUND)
    page.emulate_media(color_scheme="light")
    light = page.evaluate(GROUND)
    assert dark != light
    switch = page.get_by_role("button", name="Dark theme")
    expect(switch).to_have_attribute("aria-pressed", "false")
    switch.click()
    expect(switch).to_have_attribute("aria-pressed", "true")
    assert page.evaluate(GROUND) == dark
    page.reload()
    assert page.evaluate(GROUND) == dark
    page.get_by_role("button", name="Dark theme").click()
    assert page.evaluate(GROUND) == light


def test_mirror_pause_and_privacy_change_the_server(
    open_page: OpenPage, url: str, live: LiveServer
):
    page = open_page(url + "?camera=demo")
    expect(page.locator("#state-text")).to_have_text("Live")
    for name, control in (("Mirror", "mirror"), ("Pause", "paused")):
        button = page.get_by_role("button", name=name, exact=True)
        button.click()
        expect(button).to_have_attribute("aria-pressed", "true")
        assert camera_of(live, "demo")["controls"][control] is True
        if control == "paused":
            expect(page.locator("#state-text")).to_have_text("Paused")
        button.click()
        expect(button).to_have_attribute("aria-pressed", "false")
        assert camera_of(live, "demo")["controls"][control] is False
    privacy = page.get_by_label("Privacy")
    privacy.select_option("no_picture")
    expect(page.locator("#veil")).to_contain_text("No image")
    eventually(lambda: camera_of(live, "demo")["viewers"] == 0, "the stream is closed")
    expect(page.locator("#cards .card").first).to_be_visible()  # results continue
    privacy.select_option("none")
    expect(page.locator("#veil")).to_be_hidden()
    expect_changes(page, IMAGE, "the image")


def test_a_setting_is_sent_when_a_slider_is_moved(open_page: OpenPage, url: str, live: LiveServer):
    page = open_page(url + "?camera=demo")
    page.get_by_role("button", name="Settings").click()
    page.get_by_label("Uncertain below").fill("80")
    eventually(lambda: camera_of(live, "demo")["controls"]["threshold"] == 0.8, "it is sent")
    expect(page.locator(".card-uncertain").first).to_be_visible()
    page.get_by_role("button", name="Use the model's own threshold").click()
    eventually(lambda: camera_of(live, "demo")["controls"]["threshold"] is None, "it is reset")
    expect(page.locator("#stages")).to_contain_text(re.compile(r"detect\s*[\d.]+ ms", re.I))


def test_a_snapshot_and_the_sessions_events_are_saved_by_the_browser(open_page: OpenPage, url: str):
    page = open_page(url + "?camera=demo")
    expect_changes(page, IMAGE, "the image")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the image").click()
    assert re.fullmatch(r"demo-[\d-]{19}\.jpg", download.value.suggested_filename)
    saved = cv2.imread(str(download.value.path()))
    assert saved is not None
    assert saved.shape == (240, 320, 3)

    expect(page.get_by_role("button", name="Export CSV")).to_be_enabled()
    with page.expect_download() as download:
        page.get_by_role("button", name="Export CSV").click()
    assert download.value.suggested_filename.endswith(".csv")
    rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text())))
    assert rows
    for row in rows:
        assert row["path"] == "demo"
        assert row["expression"] in EXPRESSIONS
        assert row["quality"] in QUALITIES
        for prefix in ("", "smooth_"):
            assert sum(float(row[prefix + name]) for name in EXPRESSIONS) == pytest.approx(
                1, abs=1e-3
            )
    frames = [int(row["frame"]) for row in rows]
    assert frames == sorted(frames)


def test_a_recording_is_shown_on_the_page_until_it_is_stopped(
    open_page: OpenPage, checkpoint: str, tmp_path: Path
):
    settings = settings_of(checkpoint, "demo", "browser", recordings=tmp_path)
    with LiveServer(settings) as server:
        server.wait_ready()
        page = open_page(f"http://127.0.0.1:{server.port}/?camera=demo")
        expect(page.locator("#cards .card").first).to_be_visible()
        expect(page.locator("#recording")).to_be_hidden()
        record = page.get_by_role("button", name="Record", exact=True)
        record.click()
        expect(record).to_have_attribute("aria-pressed", "true")
        expect(page.locator("#recording")).to_be_visible()
        expect(page.locator(".foot")).to_contain_text("Recording demo.")
        expect(page.locator(".foot")).not_to_contain_text("Nothing is stored", use_inner_text=True)
        page.get_by_role("radio", name=re.compile("browser")).check(force=True)
        expect(page.locator("#recording")).to_be_hidden()
        expect(page.locator(".foot")).to_contain_text(
            "Recording demo."
        )  # also in the view of another camera
        page.get_by_role("radio", name=re.compile("demo")).check(force=True)
        written = lambda: sum(path.stat().st_size for path in tmp_path.glob("*.mp4"))  # noqa: E731
        eventually(lambda: written() > 4000, "a video is written")
        page.keyboard.press("r")
        expect(page.locator("#recording")).to_be_hidden()
        expect(page.locator(".foot")).to_contain_text("Nothing is stored")
        running = lambda: {thread.name for thread in threading.enumerate()}  # noqa: E731
        eventually(lambda: "record-demo" not in running(), "the files are complete")
        (video,) = tmp_path.glob("*.mp4")
        data = base64.b64encode(video.read_bytes()).decode()
        ready = page.evaluate(PLAYS, data)
    assert ready >= 2, "Chromium plays it"


def test_the_timeline_names_what_is_under_the_pointer(open_page: OpenPage, url: str):
    page = open_page(url + "?camera=demo")
    expect(page.locator("#cards .card").first).to_be_visible()
    canvas, tip = page.locator("#timeline-canvas"), page.locator(".timeline-tip")
    expect_changes(page, TIMELINE, "the timeline")
    box = canvas.bounding_box()
    assert box is not None
    expect(tip).to_be_hidden()
    said = rf"#\d+ ({'|'.join(EXPRESSIONS)}) \d+\W%( \(uncertain\))?, \d s ago"
    canvas.hover(position={"x": box["width"] - 12, "y": 40})
    expect(tip).to_have_text(re.compile(said))
    at = tip.bounding_box()
    assert at is not None
    assert box["x"] <= at["x"] <= at["x"] + at["width"] <= box["x"] + box["width"] + 1
    canvas.hover(position={"x": 10, "y": 40})  # the names of the lanes
    expect(tip).to_be_hidden()
    page.locator("#faces-title").hover()
    expect(tip).to_be_hidden()


def test_a_paused_face_shows_why_it_got_its_label_until_the_camera_resumes(
    open_page: OpenPage, url: str, live: LiveServer
):
    page = open_page(url + "?camera=demo")
    card = page.locator("#cards .card").first
    expect(card).to_be_visible()
    ask = card.get_by_role("button", name="Why?")
    expect(ask).to_contain_text("Pause to ask")
    expect(ask).to_have_attribute("aria-disabled", "true")
    ask.click(force=True)
    expect(page.locator("#toast")).to_have_text("Pause to ask.")
    try:
        page.get_by_role("button", name="Pause", exact=True).click()
        expect(page.locator("#badge")).to_be_visible()
        expect(ask).to_have_attribute("aria-disabled", "false")
        expect(ask).to_have_attribute("aria-expanded", "false")
        ask.focus()
        page.keyboard.press("Enter")
        expect(ask).to_have_attribute("aria-expanded", "true")
        image = card.locator(".why-image img")
        expect(image).to_be_visible(timeout=90_000)  # it may have to be compiled
        assert image.evaluate("image => image.naturalWidth") == 192
        label = card.locator(".card-label").inner_text().lower()
        saying = card.get_by_role("status")
        expect(saying).to_contain_text(label)
        other = "fear" if label != "fear" else "happy"
        card.get_by_label("Another expression").select_option(other)
        expect(saying).to_contain_text(other)
        expect(image).to_have_attribute("alt", re.compile(other))
        live.post_json("/api/cameras/demo", {"privacy": "pixelate"})
        expect(image).to_have_count(0)
        live.post_json("/api/cameras/demo", {"privacy": "none"})
        ask.click()
        expect(saying).to_contain_text("That face is no longer available")
        page.get_by_role("button", name="Pause", exact=True).click()
        expect(ask).to_contain_text("Pause to ask")
    finally:
        live.post_json("/api/cameras/demo", {"paused": False, "privacy": "none"})


def test_this_browsers_camera_is_sent_and_its_face_gets_a_card(
    open_page: OpenPage, url: str, live: LiveServer
):
    page = open_page(url + "?camera=browser", permissions=["camera"])
    expect(page.locator("#veil")).to_contain_text("Your own camera")
    page.get_by_role("banner").get_by_role("button", name="Use this browser's camera").click()
    expect(page.locator("#veil")).to_be_hidden()
    expect(page.locator("#state-text")).to_have_text("Live")
    expect(page.locator("#cards .card").first).to_be_visible()
    expect_changes(page, IMAGE, "the image")
    frames = camera_of(live, "browser")["frames"]
    eventually(lambda: camera_of(live, "browser")["frames"] > frames + 10, "frames keep coming")
    page.get_by_role("button", name="Stop my camera").click()
    expect(page.locator("#state-text")).to_have_text("Off")
    expect(page.locator("#veil")).to_contain_text("Your own camera")
    expect(page.locator("#cards .card")).to_have_count(0)


def test_a_dropped_photo_is_scored_and_any_other_file_is_refused(open_page: OpenPage, url: str):
    page = open_page(url)
    expect(page.locator("#cards .card").first).to_be_visible()
    uploads = 0

    def count(request: Any) -> None:
        nonlocal uploads
        uploads += "/api/score" in request.url

    page.on("request", count)
    drop(page, PHOTO.name, PHOTO.read_bytes())
    photo = page.get_by_role("dialog").locator(".photo").first
    expect(photo.locator(".photo-faces .card")).to_have_count(1)
    expect(photo.locator(".photo-summary")).to_contain_text("1 face")
    assert photo.locator("canvas").evaluate("canvas => [canvas.width, canvas.height]") == [512, 600]
    expect(photo.locator(".photo-faces .card-number")).to_have_text(["#1"])
    with page.expect_download() as download:
        photo.get_by_role("button", name="Save annotated image").click()
    assert download.value.suggested_filename == "grace_hopper-faces.jpg"
    saved = cv2.imread(str(download.value.path()))
    assert saved.shape == (600, 512, 3)
    changed = np.abs(saved.astype(int) - cv2.imread(str(PHOTO))).max(axis=2) > 60
    assert 0.005 < changed.mean() < 0.2, "the box and its label are drawn, and nothing else"
    assert uploads == 1
    drop(page, "notes.txt", b"no image", kind="text/plain")
    expect(page.locator(".photo.failed .photo-summary").first).to_contain_text("is not an image")
    assert uploads == 1
    drop(page, "broken.jpg", b"\xff\xd8\xff no image")
    refused = page.get_by_role("dialog").locator(".photo.failed").first
    expect(refused).to_contain_text("broken.jpg")
    expect(refused.locator(".photo-summary")).to_have_text(re.compile(r"^[A-Z].{10,}\.$"))
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


@pytest.mark.parametrize(
    "size", [(360, 800), (768, 1024), (1920, 1080)], ids=lambda size: str(size[0])
)
def test_everything_fits_and_can_be_clicked_at_any_width(
    open_page: OpenPage, url: str, size: tuple[int, int]
):
    page = open_page(url, size=size)
    expect(page.locator("#cards .card").first).to_be_visible()
    assert page.evaluate("() => document.documentElement.scrollWidth") == size[0]
    boxes = {}
    for selector in ("#stage", "#theme", "#choose-photo", "#mirror", "#fullscreen", "#privacy"):
        box = page.locator(selector).bounding_box()
        assert box is not None, selector
        assert 0 <= box["x"] <= box["x"] + box["width"] <= size[0] + 0.5, selector
        assert box["height"] >= 40, selector
        boxes[selector] = box
    assert boxes["#stage"]["width"] >= 0.42 * size[0]  # limited by height: the last minute is below
    assert boxes["#mirror"]["y"] + 40 <= size[1]  # the tools are visible without scrolling
    if size[0] == 1920:
        assert page.evaluate("() => document.documentElement.scrollHeight") == size[1]


def test_a_keyboard_reaches_everything_and_everything_has_a_name(open_page: OpenPage, url: str):
    page = open_page(url + "?camera=demo")
    expect(page.locator("#export")).to_be_enabled()
    expect(page.locator("#visitor")).to_be_visible()
    focused = []
    for _ in range(25):
        page.keyboard.press("Tab")
        name = page.evaluate(
            "() => ['id', 'value', 'className'].map((key) => document.activeElement[key]).find(Boolean)"
        )
        if name in focused:
            break
        focused.append(name)
    wanted = {"demo", "visitor", "choose-photo", "theme", "privacy", "mirror", "pause", "snapshot"}
    assert wanted | {"tune", "fullscreen", "export"} <= set(focused)
    for role in ("button", "radio", "combobox"):
        for element in page.get_by_role(role).all():
            snapshot = element.aria_snapshot()
            assert re.match(rf"- '?{role} \"[^\"]+\"", snapshot), snapshot
    expect(page.get_by_role("radio", name="demo, Live", exact=True)).to_have_count(1)
    page.locator("input[value=demo]").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#veil")).to_contain_text("Your own camera")
    assert "camera=browser" in page.url


def test_an_embedded_page_is_the_bare_image(open_page: OpenPage, url: str):
    page = open_page(url + "?camera=demo&embed=1", size=(400, 300))
    expect_changes(page, IMAGE, "the image")
    assert page.locator("#stage").bounding_box() == {"x": 0, "y": 0, "width": 400, "height": 300}
    for selector in (".top", ".faces", ".past", ".bar", ".foot", "#notice"):
        expect(page.locator(selector)).to_be_hidden()


def test_a_missing_camera_is_reported_with_what_to_do(open_page: OpenPage, checkpoint: str):
    settings = settings_of(checkpoint, "desk=97", "demo", "browser", token="open sesame")
    with LiveServer(settings) as server:
        page = open_page(f"http://127.0.0.1:{server.port}/?camera=desk")
        assert page.url.endswith("/login")
        page.get_by_label("Access token").fill("open says me")
        page.get_by_role("button", name="Watch").click()
        expect(page.get_by_role("alert")).to_have_text("Wrong token.")
        page.get_by_label("Access token").fill("open sesame")
        page.get_by_role("button", name="Watch").click()
        expect(page.locator("#state-text")).to_have_text("Live")  # of an existing camera
        page.get_by_role("radio", name=re.compile("desk")).check()
        expect(page.locator("#state-text")).to_have_text(re.compile("^Missing"))
        notice = page.locator("#notice")
        expect(notice.get_by_role("button", name="Use this browser's camera")).to_be_visible()
        notice.get_by_role("button", name="Watch the demo").click()
        expect(page.locator("#state-text")).to_have_text("Live")


@pytest.mark.parametrize(
    "target",
    ["/.//elsewhere.test/x", "//elsewhere.test", "https://elsewhere.test/", "/\\elsewhere.test"],
)
def test_a_login_never_leads_to_another_server(open_page: OpenPage, checkpoint: str, target: str):
    settings = settings_of(checkpoint, "demo", token="open sesame")
    with LiveServer(settings) as server:
        own = f"http://127.0.0.1:{server.port}/"
        page = open_page(f"{own}login?next={urllib.parse.quote(target, safe='')}")
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.get_by_label("Access token").fill("open sesame")
        page.get_by_role("button", name="Watch").click()
        page.wait_for_url(lambda url: "/login" not in url)
        assert page.url.startswith(own)
        assert not [url for url in asked if not url.startswith(own)]


def test_a_page_recovers_by_itself_from_frozen_frames_and_from_a_restart(
    open_page: OpenPage, checkpoint: str
):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with own_server(checkpoint, port) as pid:
        page = open_page(f"http://127.0.0.1:{port}/")
        expect_changes(page, IMAGE, "the image")
        os.kill(pid, signal.SIGSTOP)
        expect(page.locator("#notice")).to_contain_text("Video is delayed")
        expect(page.locator("#state-text")).to_have_text("Connection lost")
        os.kill(pid, signal.SIGCONT)
        expect(page.locator("#state-text")).to_have_text("Live")
        expect_changes(page, IMAGE, "the image")
    expect(page.locator("#veil")).to_contain_text("reach the server")
    expect(page.locator("#notice")).to_contain_text("Reconnecting")
    with own_server(checkpoint, port):
        expect(page.locator("#toast")).to_have_text("Connected again.")
        expect(page.locator("#veil")).to_be_hidden()
        expect(page.locator("#state-text")).to_have_text("Live")
        expect_changes(page, IMAGE, "the image")
        expect(page.locator("#cards .card").first).to_be_visible()
