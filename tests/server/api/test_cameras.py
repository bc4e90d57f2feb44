"""Cameras and their controls, recording among them, over HTTP."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from fer_jax.expressions import EXPRESSIONS
from fer_jax.media.video import VideoReader
from server.cameras.options import parse_source
from tests.server.live_server import LiveServer, events, settings_of
from tests.server.pages import eventually

OPERATOR, VIEWER = "open sesame", "open sesame seeds"


def test_the_cameras_report_their_state(live: LiveServer):
    found = live.get("/api/cameras").json
    assert found["labels"] == list(EXPRESSIONS)
    assert set(found["colours"]) == set(EXPRESSIONS)
    assert 0 < found["uncertain_below"] < 1
    demo, browser = found["cameras"]
    assert (demo["name"], demo["kind"], demo["stream"]) == ("demo", "demo", "/stream/demo.mjpg")
    assert (browser["name"], browser["status"]) == ("browser", "missing")
    assert browser["reason"]


def test_controls_change_one_by_one_and_persist(live: LiveServer):
    before = live.get("/api/cameras").json["cameras"][1]["controls"]
    changed = live.post_json("/api/cameras/browser", {"flip": True, "threshold": 0.25})
    assert changed.json["controls"] == {**before, "flip": True, "threshold": 0.25}
    back = live.post_json("/api/cameras/browser", {"flip": False, "threshold": None})
    assert back.json["controls"] == before


@pytest.mark.parametrize(
    "body",
    [
        {"mirror": 1},
        {"paused": None},
        {"flip": 1},
        {"rotate": 45},
        {"rotate": "90"},
        {"rotate": True},
        {"smoothing_s": -0.1},
        {"smoothing_s": True},
        {"smoothing_s": float("nan")},
        {"smoothing_s": float("inf")},
        {"smoothing_s": 10**400},
        {"threshold": -(10**400)},
        {"threshold": 1.5},
        {"threshold": "0.5"},
        {"privacy": "hide"},
        {"privacy": ["none"]},
        {"colour": "red"},
        [],
        None,
        "mirror",
    ],
)
def test_an_invalid_control_is_refused_and_changes_nothing(live: LiveServer, body: object):
    before = live.get("/api/cameras").json["cameras"][0]["controls"]
    refused = live.post_json("/api/cameras/demo", body)
    assert (refused.status, refused.code) == (400, "bad_value")
    assert live.get("/api/cameras").json["cameras"][0]["controls"] == before


@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        ({"Content-Type": "text/plain"}, b"{}", 415, "unsupported_media_type"),
        ({}, b"{}", 415, "unsupported_media_type"),
        ({"Content-Type": "application/json"}, b"{", 400, "bad_json"),
        ({"Content-Type": "application/json"}, b"\xff", 400, "bad_json"),
        ({"Content-Type": "application/json"}, b"[" * 9000, 400, "bad_json"),
        ({"Content-Type": "application/json"}, b"1" * 9000, 400, "bad_json"),
        ({"Content-Type": "application/json"}, b" " * 20_000, 413, "too_large"),
        (
            {"Content-Type": "application/json", "Content-Encoding": "gzip"},
            b"{}",
            415,
            "unsupported_media_type",
        ),
    ],
)
def test_a_body_that_is_not_small_json_is_refused(
    live: LiveServer, headers: dict[str, str], body: bytes, status: int, code: str
):
    refused = live.ask("POST", "/api/cameras/demo", body=body, headers=headers)
    assert (refused.status, refused.code) == (status, code)


def test_a_rotated_camera_is_analysed_and_shown_upright(checkpoint: str):
    source = dataclasses.replace(parse_source("side=demo"), rotate=90)
    with LiveServer(dataclasses.replace(settings_of(checkpoint), sources=(source,))) as server:
        (camera,) = server.get("/api/cameras").json["cameras"]
        assert camera["controls"]["rotate"] == 90
        analyses = (data for event, data in events(server) if event == "analysis")
        analysis = next(analyses)
        assert (analysis["width"], analysis["height"]) == (240, 320)
        turned = image_of(server.get("/snapshot/side.jpg").body)
        assert turned.shape == (320, 240, 3)
        (camera,) = server.get("/api/cameras").json["cameras"]
        assert (camera["width"], camera["height"]) == (240, 320)
        assert server.post_json("/api/cameras/side", {"rotate": 0, "flip": True}).status == 200
        analysis = next(one for one in analyses if one["width"] == 320)
        flag = image_of(server.get("/snapshot/side.jpg").body)
        assert analysis["height"] == 240
        # The demo has a red and white flag on its left; flipped, it is on the right.
        red = flag[..., 0].astype(int) - flag[..., 2]
        assert red[:, 240:].mean() > red[:, :80].mean()


def image_of(jpeg: bytes) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert image is not None
    return image


def test_a_snapshot_is_a_fresh_image(live: LiveServer):
    asked_s = time.time()
    answer = live.get("/snapshot/demo.jpg")
    assert answer.headers["content-type"] == "image/jpeg"
    assert float(answer.headers["x-timestamp"]) >= asked_s
    assert cv2.imdecode(np.frombuffer(answer.body, np.uint8), cv2.IMREAD_COLOR).shape == (
        240,
        320,
        3,
    )


def test_operators_can_record_and_everybody_is_notified(checkpoint: str, tmp_path: Path):
    folder = tmp_path / "recordings"
    settings = settings_of(
        checkpoint, "demo", token=OPERATOR, viewer_token=VIEWER, recordings=folder
    )
    operator, viewer = ({"Authorization": f"Bearer {token}"} for token in (OPERATOR, VIEWER))
    with LiveServer(settings) as server:
        server.wait_ready()
        refused = server.post_json("/api/cameras/demo", {"recording": True}, **viewer)
        assert (refused.status, refused.code) == (403, "operators_only")
        assert not folder.exists()
        camera = server.post_json("/api/cameras/demo", {"recording": True}, **operator).json
        assert camera["controls"]["recording"] is True
        (seen,) = server.get("/api/cameras", **viewer).json["cameras"]
        assert (seen["controls"]["recording"], seen["recording_problem"]) == (True, "")
        eventually(lambda: bool(list(folder.glob("*.mp4"))), "a video is begun")
    (table,), (video,) = folder.glob("demo-*.csv"), folder.glob("demo-*.mp4")
    assert table.read_text().startswith("path,frame,time_s,face,track,x,y,width,height,")
    with VideoReader(video) as reader:
        assert (reader.width, reader.height) == (320, 240)
        assert next(iter(reader)).time_s == 0


def test_viewers_are_notified_of_a_recording_that_cannot_be_written(
    checkpoint: str, tmp_path: Path
):
    (tmp_path / "recordings").touch()
    settings = settings_of(checkpoint, "demo", recordings=tmp_path / "recordings", record=True)
    with LiveServer(settings) as server:
        told = (data for name, data in events(server) if name == "camera")
        camera = next(data for data in told if data["recording_problem"])
        assert "cannot be written" in camera["recording_problem"]
        assert str(tmp_path) not in camera["recording_problem"]
        assert camera["controls"]["recording"] is False
