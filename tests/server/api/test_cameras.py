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


def test_an_unknown_path_or_method_is_refused_in_json(live: LiveServer):
    assert live.get("/nothing").code == "not_found"
    assert live.get("/snapshot/nobody.jpg").code == "unknown_camera"
    assert live.post_json("/api/cameras/nobody", {}).code == "unknown_camera"
    wrong = live.ask("DELETE", "/api/cameras")
    assert (wrong.status, wrong.code) == (405, "method_not_allowed")
    assert wrong.headers["allow"] == "GET, HEAD"
    assert live.get("/api/cameras", Expect="miracles").code == "expectation_failed"


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


def test_events_report_cameras_and_faces(live: LiveServer):
    seen: dict[str, dict[str, Any]] = {}
    for event, data in events(live):
        seen.setdefault(f"{event} {data.get('camera', data.get('name'))}", data)
        if {"camera demo", "camera browser"} <= set(seen) and (
            event == "analysis" and data["faces"]
        ):
            break
    assert data["camera"] == "demo"
    assert (data["width"], data["height"]) == (320, 240)
    (face,) = data["faces"]
    assert set(face["probabilities"]) == set(face["raw"]) == set(EXPRESSIONS)
    assert sum(face["probabilities"].values()) == pytest.approx(1, abs=0.01)
    assert len(face["box"]) == 4
    assert "detect" in data["stages"]
    assert 0 < data["age_s"] < 5


def test_events_of_one_camera_report_changes_of_its_controls(live: LiveServer):
    stream = events(live, "/api/events?camera=browser")
    assert next(stream)[1]["controls"]["mirror"] is True  # a visitor's own camera
    live.post_json("/api/cameras/browser", {"mirror": False})
    try:
        name, data = next(stream)
        assert (name, data["name"], data["controls"]["mirror"]) == ("camera", "browser", False)
    finally:
        live.post_json("/api/cameras/browser", {"mirror": True})
        stream.close()


def test_the_server_reports_when_it_is_healthy_and_ready(live: LiveServer):
    assert live.get("/healthz").json == {"status": "ok"}
    assert live.get("/readyz").json == {"status": "ready"}


def test_metrics_count_requests_and_refusals_without_labels_made_up_by_strangers(live: LiveServer):
    live.ask("PROPFIND", "/coffee")
    text = live.get("/metrics").body.decode()
    assert re.search(r'fer_rejections_total\{reason="not_found"\} [1-9]', text)
    assert 'route="/api/cameras"' in text
    assert 'method="other",route="unknown",status="404"' in text.replace(", ", ",")
    assert "coffee" not in text
    assert "PROPFIND" not in text


@pytest.mark.parametrize(
    "request_",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 2000 + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /api/score HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_broken_http_is_refused_in_json(live: LiveServer, request_: bytes):
    with live.raw(request_) as bare:
        head, _, body = read_all(bare).partition(b"\r\n\r\n")
    assert b" 400 " in head.split(b"\r\n")[0]
    assert json.loads(body)["error"]["code"] == "bad_http"


def test_a_client_that_never_finishes_its_request_is_disconnected(checkpoint: str):
    limits = Limits(idle_connection_s=1.0, connections_per_address=4)
    with LiveServer(settings_of(checkpoint, "browser", limits=limits)) as server:
        with server.raw(b"GET / HTTP/1.1\r\nHost: loc") as bare:
            started_s = time.monotonic()
            assert read_all(bare) == b""
            assert time.monotonic() - started_s < 10
        held = [server.connect() for _ in range(4)]
        with server.connect() as fifth:
            head, _, body = read_all(fifth).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: 1" in head
        assert json.loads(body)["error"]["code"] == "too_many_connections"
        assert 'reason="too_many_connections"} 1.0' in exposition(server, held[0])
        for bare in held:
            bare.close()


def exposition(server: LiveServer, bare: socket.socket) -> str:
    """The server's metrics, through a connection that is already open."""
    bare.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    return read_all(bare).decode()


def test_the_openapi_document_lists_every_path_and_no_other(live: LiveServer):
    document = live.get("/api/openapi.json").json
    told = {
        (path, method.upper()) for path, methods in document["paths"].items() for method in methods
    }
    there = {
        (route.resource.canonical, route.method)
        for route in make_app(live.settings).router.routes()
        if route.method != "HEAD"
    }
    assert told == there
