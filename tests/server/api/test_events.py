"""Events of cameras and faces, as a program reads them."""

from __future__ import annotations

from typing import Any

import pytest

from fer_jax.expressions import EXPRESSIONS
from tests.server.live_server import LiveServer, events


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
    states = (data for name, data in stream if name == "camera")
    assert next(states)["controls"]["mirror"] is True  # a visitor's own
    live.post_json("/api/cameras/browser", {"mirror": False})
    try:
        data = next(states)
        assert (data["name"], data["controls"]["mirror"]) == ("browser", False)
    finally:
        live.post_json("/api/cameras/browser", {"mirror": True})
        stream.close()
