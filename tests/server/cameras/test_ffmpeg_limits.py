"""A camera that sends its reader elsewhere: to another host, or to a file of this machine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from server.cameras.network import NetworkReader
from server.cameras.reader import SourceError
from tests.server.network_camera import MjpegCamera
from tests.server.orders import order, write_video


@pytest.fixture
def liar() -> Iterator[ThreadingHTTPServer]:
    """Answers with what `answer` holds: a status, headers and a body."""

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


def test_a_redirect_is_not_followed_and_named(liar: ThreadingHTTPServer) -> None:
    camera = MjpegCamera()
    try:
        liar.answer = (302, {"Location": camera.where}, b"")  # type: ignore[attr-defined]
        assert "redirects" in str(refusal(liar, "video"))
        assert not camera._sockets
    finally:
        camera.unplug()


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
