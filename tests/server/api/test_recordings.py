"""Recording by the control API: permissions, files, and completion when the server stops."""

from __future__ import annotations

from pathlib import Path

from fer_jax.media.video import VideoReader
from tests.server.live_server import LiveServer, events, settings_of
from tests.server.pages import eventually

OPERATOR, VIEWER = "open sesame", "open sesame seeds"


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
