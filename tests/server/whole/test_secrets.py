"""A camera's address and password never appear in a page, response, event, error or log."""

from __future__ import annotations

import json
import logging

import pytest

from tests.server.live_server import LiveServer, events, settings_of

PATHS = ("/", "/api/cameras", "/metrics", "/api/openapi.json", "/api/cameras/door/why?track=1")


@pytest.mark.parametrize(
    "where",
    [
        "http://admin:hunter2@127.0.0.1:1/user=admin_password=hunter2_channel=1?token=hunter2",
        "rtsp://admin:se@hunter2@127.0.0.1:1/hunter2",
    ],
)
def test_no_answer_and_no_log_line_shows_a_cameras_password(
    where: str, checkpoint: str, caplog: pytest.LogCaptureFixture
):
    settings = settings_of(checkpoint, f"door={where}")
    with caplog.at_level(logging.DEBUG), LiveServer(settings) as server:
        told = (data for name, data in events(server) if name == "camera" and data["reason"])
        camera = next(told)
        assert camera["status"] == "missing"
        assert camera["source"] == f"{where.split(':')[0]}://***@127.0.0.1:1/***"
        shown = [json.dumps(camera), *(server.get(path).body.decode() for path in PATHS)]
    shown += [record.getMessage() + str(record.exc_text) for record in caplog.records]
    assert any("camera door: missing" in text for text in shown)
    assert not [text for text in shown if "hunter2" in text]
