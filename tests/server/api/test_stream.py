from __future__ import annotations

import contextlib
import logging
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from server.live.broadcast import Part
from server.live.multipart import BOUNDARY, CONTENT_TYPE, OPENING, part_bytes
from server.settings import Limits
from tests.server.live_server import (
    LiveServer,
    events,
    read_all,
    read_exactly,
    read_until,
    settings_of,
)

DELIMITER = f"--{BOUNDARY}\r\n".encode()


def ask_for(path: str, version: str = "1.0") -> bytes:
    return f"GET {path} HTTP/{version}\r\nHost: localhost\r\n\r\n".encode()


def read_part(bare: socket.socket) -> tuple[dict[str, str], bytes]:
    """Headers and image of the next part of an HTTP/1.0 stream, after its head."""
    lines = read_until(bare, b"\r\n\r\n").decode().strip().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    jpeg = read_exactly(bare, int(headers["Content-Length"]))
    assert read_exactly(bare, len(DELIMITER) + 2) == b"\r\n" + DELIMITER
    return headers, jpeg


def decoded(jpeg: bytes) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image


@contextlib.contextmanager
def watching(server: LiveServer, path: str = "/stream/demo.mjpg") -> Iterator[socket.socket]:
    """An HTTP/1.0 viewer, after the head and the first delimiter."""
    with server.raw(ask_for(path)) as bare:
        head = read_until(bare, b"\r\n\r\n").decode()
        assert head.startswith("HTTP/1.0 200")
        assert read_exactly(bare, len(OPENING)) == OPENING
        yield bare


def test_a_part_consists_of_these_bytes():
    part = Part(
        jpeg=b"\xff\xd8image\xff\xd9",
        number=7,
        captured_s=12.5,
        wall_s=1700000000.25,
        published_s=12.53125,
        stages={"detect": 0.004, "encode": 0.002},
        analysis=None,
    )
    assert OPENING == b"--fer-jax-frame\r\n"
    assert CONTENT_TYPE == "multipart/x-mixed-replace;boundary=fer-jax-frame"
    assert part_bytes(part) == (
        b"Content-Type: image/jpeg\r\n"
        b"Content-Length: 9\r\n"
        b"X-Timestamp: 1700000000.250000\r\n"
        b"\r\n"
        b"\xff\xd8image\xff\xd9\r\n"
        b"--fer-jax-frame\r\n"
    )
    assert part_bytes(part, timing=True) == (
        b"Content-Type: image/jpeg\r\n"
        b"Content-Length: 9\r\n"
        b"X-Timestamp: 1700000000.250000\r\n"
        b"X-Frame: 7\r\n"
        b"X-Captured: 12.500000\r\n"
        b"X-Published: 12.531250\r\n"
        b"X-Stage-Detect: 0.004000\r\n"
        b"X-Stage-Encode: 0.002000\r\n"
        b"\r\n"
        b"\xff\xd8image\xff\xd9\r\n"
        b"--fer-jax-frame\r\n"
    )


def test_an_http_1_0_client_gets_plain_parts_whose_images_change(live: LiveServer):
    with watching(live) as bare:
        parts = [read_part(bare) for _ in range(4)]
    times = [float(headers["X-Timestamp"]) for headers, _ in parts]
    assert times == sorted(times)
    assert abs(times[-1] - time.time()) < 5
    assert {decoded(jpeg).shape for _, jpeg in parts} == {(240, 320, 3)}
    assert len({jpeg for _, jpeg in parts}) > 1


def test_an_http_1_1_client_gets_the_same_in_chunks(live: LiveServer):
    with live.raw(ask_for("/stream/demo.mjpg", "1.1")) as bare:
        head = read_until(bare, b"\r\n\r\n").decode().lower()
        assert "transfer-encoding: chunked" in head
        assert f"content-type: {CONTENT_TYPE}" in head
        body = b""
        while body.count(DELIMITER) < 3:
            size = int(read_until(bare, b"\r\n"), 16)
            body += read_exactly(bare, size)
            assert read_exactly(bare, 2) == b"\r\n"
    assert body.startswith(OPENING)
    headers, _, rest = body.removeprefix(OPENING).partition(b"\r\n\r\n")
    length = int(re.search(rb"Content-Length: (\d+)", headers)[1])
    decoded(rest[:length])
    assert rest[length:].startswith(b"\r\n" + DELIMITER)


def test_timing_adds_headers_with_the_time_of_each_stage(live: LiveServer):
    with watching(live, "/stream/demo.mjpg?timing=1") as bare:
        parts = [read_part(bare)[0] for _ in range(6)]
    headers = parts[-1]
    stages = {name for name in headers if name.startswith("X-Stage-")}
    assert {"X-Stage-Detect", "X-Stage-Predict", "X-Stage-Encode"} <= stages
    assert 0 < float(headers["X-Published"]) - float(headers["X-Captured"]) < 5
    assert int(headers["X-Frame"]) > 0
    assert live.get("/stream/demo.mjpg?timing=yes").code == "bad_value"


def frames(bare: socket.socket, count: int) -> dict[int, np.ndarray]:
    """The next images, by frame number."""
    found: dict[int, np.ndarray] = {}
    while len(found) < count:
        headers, jpeg = read_part(bare)
        if "X-Frame" in headers:
            found[int(headers["X-Frame"])] = decoded(jpeg)
    return found


def test_a_plain_image_has_the_number_of_its_event_and_differs_from_the_annotated_only_at_faces(
    live: LiveServer,
):
    faces: dict[int, list[float]] = {}
    told = events(live, "/api/events?camera=demo")
    with (
        watching(live, "/stream/demo.mjpg?plain=1") as plain,
        watching(live, "/stream/demo.mjpg?timing=1") as annotated,
    ):
        for event, data in told:
            if event == "analysis" and data["faces"]:
                faces[data["number"]] = data["faces"][0]["box"]
            if len(faces) == 12:
                break
        clean, marked = frames(plain, 12), frames(annotated, 12)
    told.close()
    common = set(faces) & set(clean) & set(marked)
    assert common
    for number in common:
        changed = np.abs(clean[number].astype(int) - marked[number]).max(axis=2) > 60
        x, y, width, height = (round(value) for value in faces[number])
        assert changed[:, max(0, x - 6) : x + 6].any(), "no left edge of a box"
        assert not changed[max(0, y + 40) : y + height - 8, x + 10 : x + width - 10].any()
        assert not changed[:, : max(0, x - 20)].any()


def test_a_part_without_a_frame_number_shows_the_state_of_the_camera(checkpoint: str):
    with (
        LiveServer(settings_of(checkpoint, "desk=97")) as server,
        watching(server, "/stream/desk.mjpg?plain=1") as bare,
    ):
        assert "X-Frame" not in read_part(bare)[0]


def test_a_stream_has_bars_or_nothing_drawn_but_not_both(live: LiveServer):
    assert live.get("/stream/demo.mjpg?plain=1&bars=1").code == "bad_value"
    assert live.get("/stream/demo.mjpg?plain=yes").code == "bad_value"
    with (
        watching(live, "/stream/demo.mjpg?bars=1&timing=1") as bars,
        watching(live, "/stream/demo.mjpg?timing=1") as labels,
    ):
        more, less = frames(bars, 8), frames(labels, 8)
    common = set(more) & set(less)
    assert common
    assert all((more[number] != less[number]).any() for number in common)


@pytest.mark.parametrize("kind", ["", "&plain=1", "&bars=1"])
def test_privacy_applies_to_every_kind_of_stream(live: LiveServer, kind: str):
    def detail(image: np.ndarray) -> float:
        middle = image[80:160, 120:200]
        return float((np.abs(np.diff(middle.astype(int), axis=1)) > 12).mean())

    try:
        with watching(live, f"/stream/demo.mjpg?timing=1{kind}") as bare:
            shown = next_image_until(bare, lambda image: detail(image) > 0.05)
            live.post_json("/api/cameras/demo", {"privacy": "pixelate"})
            hidden = next_image_until(bare, lambda image: detail(image) < 0.5 * detail(shown))
            live.post_json("/api/cameras/demo", {"privacy": "no_picture"})
            nothing = next_image_until(bare, lambda image: image[:20].max() < 60)
        assert detail(hidden) < 0.5 * detail(shown)
        with watching(live, f"/stream/demo.mjpg?timing=1{kind}") as bare:
            np.testing.assert_array_equal(decoded(read_part(bare)[1]), nothing)
    finally:
        live.post_json("/api/cameras/demo", {"privacy": "none"})


def next_image_until(
    bare: socket.socket, wanted: Callable[[np.ndarray], bool], *, parts: int = 200
) -> np.ndarray:
    """The first image that matches; images already in the socket come before it."""
    for _ in range(parts):
        image = decoded(read_part(bare)[1])
        if wanted(image):
            return image
    raise AssertionError(f"none of {parts} images matches")


def test_a_paused_camera_keeps_its_plain_image_and_marks_the_annotated_one(live: LiveServer):
    try:
        with (
            watching(live, "/stream/demo.mjpg?plain=1") as plain,
            watching(live) as annotated,
        ):
            read_part(annotated)
            live.post_json("/api/cameras/demo", {"paused": True})
            last = until_repeated(plain)
            marked = until_repeated(annotated)
        changed = np.abs(decoded(last).astype(int) - decoded(marked)).max(axis=2) > 60
        assert changed[5:25, 5:60].any(), "no badge"
        assert not changed[200:, :40].any(), "the image has changed"
    finally:
        live.post_json("/api/cameras/demo", {"paused": False})


def until_repeated(bare: socket.socket) -> bytes:
    last = b""
    while (jpeg := read_part(bare)[1]) != last:
        last = jpeg
    return last


def test_viewers_are_logged_when_they_come_and_leave_with_the_reason(live: LiveServer, caplog):
    caplog.set_level(logging.INFO, logger="server")
    with watching(live) as bare:
        read_part(bare)
    until = time.monotonic() + 20
    while "demo: the viewer from 127.0.0.1 left (disconnected)" not in caplog.text:
        assert time.monotonic() < until, caplog.text
    assert "demo: a viewer came from 127.0.0.1" in caplog.text


def test_a_viewer_that_pauses_resumes_with_a_fresh_image(live: LiveServer):
    with watching(live, "/stream/demo.mjpg?timing=1") as bare:
        read_part(bare)
        time.sleep(2)  # data in transit is read first, and it is little
        until = time.monotonic() + 10
        while time.monotonic() - float(read_part(bare)[0]["X-Captured"]) > 0.5:
            assert time.monotonic() < until, "only old images arrive"


def test_a_socket_that_reads_nothing_is_closed(checkpoint: str):
    limits = Limits(stuck_viewer_s=1.0)
    with LiveServer(
        settings_of(checkpoint, "demo", limits=limits, width=640, height=480)
    ) as server:
        request = ask_for("/stream/demo.mjpg")
        with server.raw(request, receive_buffer=4096) as stuck, watching(server) as healthy:
            until = time.monotonic() + 60
            while b'fer_viewers{camera="demo",kind="images"} 2.0' in server.get("/metrics").body:
                assert time.monotonic() < until, "the stuck viewer was kept"
                read_part(healthy)
            with contextlib.suppress(ConnectionResetError):
                read_all(stuck)
            read_part(healthy)


def test_too_many_viewers_are_turned_away(checkpoint: str):
    limits = Limits(viewers=3, viewers_per_address=2)
    with LiveServer(settings_of(checkpoint, "demo", limits=limits)) as server:
        with watching(server), watching(server):
            refused = server.get("/stream/demo.mjpg")
            assert (refused.status, refused.code) == (503, "too_many_viewers")
            assert refused.headers["retry-after"] == "1"
            assert server.get("/api/events?camera=nobody").code == "unknown_camera"
        until = time.monotonic() + 10
        while b'kind="images"} 0.0' not in server.get("/metrics").body:
            assert time.monotonic() < until, "a viewer who left still counts"
        with watching(server) as bare:
            read_part(bare)


def test_a_head_request_for_a_stream_gets_only_its_headers(live: LiveServer):
    answer = live.ask("HEAD", "/stream/demo.mjpg")
    assert answer.headers["content-type"] == CONTENT_TYPE
    assert live.get("/stream/nobody.mjpg").code == "unknown_camera"


def test_opencv_reads_the_stream(live: LiveServer):
    capture = cv2.VideoCapture(f"http://127.0.0.1:{live.port}/stream/demo.mjpg", cv2.CAP_FFMPEG)
    try:
        assert capture.isOpened()
        for _ in range(3):
            good, image = capture.read()
            assert good
            assert image.shape == (240, 320, 3)
    finally:
        capture.release()


def test_curl_reads_the_stream(live: LiveServer, tmp_path: Path):
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    url = f"http://127.0.0.1:{live.port}/stream/demo.mjpg"
    with (tmp_path / "stream").open("wb") as file:
        subprocess.run(
            ["curl", "-sN", "--max-time", "2", url], stdout=file, timeout=30, check=False
        )
    first = (tmp_path / "stream").read_bytes().split(DELIMITER)[1]
    frame = decoded(first.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n"))
    assert frame.shape == (240, 320, 3)


def test_ffmpeg_reads_the_stream(live: LiveServer, tmp_path: Path):
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    url = f"http://127.0.0.1:{live.port}/stream/demo.mjpg"
    frame = tmp_path / "frame.png"
    line = ["ffmpeg", "-loglevel", "error", "-f", "mpjpeg", "-i", url, "-frames:v", "1", frame]
    subprocess.run(line, timeout=60, check=True)
    assert cv2.imread(str(frame)).shape == (240, 320, 3)
