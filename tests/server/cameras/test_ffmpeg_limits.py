"""A camera that redirects its reader to another host or to a file on this machine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from server.cameras.ffmpeg_limits import redirected
from server.cameras.network import NetworkReader
from server.cameras.reader import SourceError
from tests.server.network_camera import MjpegCamera, NetworkCamera, RtspCamera
from tests.server.orders import order, write_video


@pytest.fixture
def liar() -> Iterator[ThreadingHTTPServer]:
    """Responds with `answer`: a status, headers and a body."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = server.answer  # type: ignore[attr-defined]
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def refusal(liar: ThreadingHTTPServer, path: str) -> SourceError:
    with pytest.raises(SourceError) as caught:
        NetworkReader(order("network", f"http://127.0.0.1:{liar.server_port}/{path}"))
    return caught.value


@pytest.mark.parametrize("kind", [MjpegCamera, RtspCamera])
def test_a_redirect_is_followed_on_the_cameras_own_host_only(kind: type[NetworkCamera]) -> None:
    target, camera = kind(), kind(status=302)
    try:
        camera.location = target.where.replace("user:secret@", "")
        reader = NetworkReader(order("network", camera.where))
        reader.grab()
        assert reader.image() is not None
        reader.close()
        found = len(target._sockets)
        for elsewhere in ("localhost", "127.0.0.2"):
            camera.location = target.where.replace("127.0.0.1", elsewhere)
            with pytest.raises(SourceError, match="redirects to another machine"):
                NetworkReader(order("network", camera.where))
        camera.location = camera.where
        with pytest.raises(SourceError, match="redirects repeatedly"):
            NetworkReader(order("network", camera.where))
        assert len(target._sockets) == found
    finally:
        camera.unplug()
        target.unplug()


def test_a_redirect_keeps_the_password_and_never_gives_up_tls() -> None:
    where = "https://user:secret@camera:8443/video"
    assert redirected(where, "/live?a=1#b") == "https://user:secret@camera:8443/live?a=1"
    assert redirected(where, "https://CAMERA/live") == "https://user:secret@camera/live"
    assert redirected("rtsp://[::1]/a", "rtsps://[::1]:322/b") == "rtsps://[::1]:322/b"
    for away in (
        "http://camera/",
        "https://camera@other/",
        "//other/",
        "file:///a",
        "",
        "https://[",
    ):
        assert redirected(where, away) is None, away


@pytest.mark.parametrize(
    ("path", "playlist"),
    [
        ("live.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n"),
        ("list.ffconcat", "ffconcat version 1.0\nfile {}\n"),
    ],
)
def test_a_playlist_leads_neither_to_other_hosts_nor_to_files(
    liar: ThreadingHTTPServer, tmp_path: Path, path: str, playlist: str
) -> None:
    camera = MjpegCamera()
    try:
        for target in (camera.where, write_video(tmp_path / "video.avi", 5).as_uri()):
            liar.answer = (200, {}, playlist.format(target).encode())  # type: ignore[attr-defined]
            assert refusal(liar, path).trouble == "reconnecting"
        assert not camera._sockets
    finally:
        camera.unplug()
