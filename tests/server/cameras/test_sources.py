"""The sources of a capture process: the demo, videos, webcams and network cameras."""

from __future__ import annotations

import itertools
import os
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from fer_jax.faces.detect import YuNetDetector
from server.cameras.demo import PORTRAITS, DemoPortrait, DemoReader
from server.cameras.device import DeviceReader
from server.cameras.fit import MAX_SIDE, fit
from server.cameras.network import NetworkReader
from server.cameras.reader import SourceError
from server.cameras.video_file import VideoFileReader
from tests.faces.sample_media import bar_of, frames
from tests.media.sample_videos import EVERY_FRAME_WHOLE, encode, without_jpeg
from tests.server.network_camera import FilmServer, MjpegCamera, NetworkCamera, RtspCamera
from tests.server.orders import order, write_video


@pytest.mark.parametrize("portrait", PORTRAITS, ids=lambda portrait: portrait.package)
def test_the_demo_shows_one_moving_face_and_always_the_same_video(portrait: DemoPortrait) -> None:
    pytest.importorskip(portrait.package)
    reader = DemoReader(order(width=640, height=480), [portrait])
    again = DemoReader(order(width=640, height=480), [portrait])
    detector = YuNetDetector(detect_size=320)
    boxes = []
    for number in range(0, 3000, 250):
        image = reader.at(number)
        assert (image.shape, image.dtype) == ((480, 640, 3), np.uint8)
        np.testing.assert_array_equal(image, again.at(number))
        (face,) = detector.detect(image)
        boxes.append((face.x, face.y, face.width))
    assert np.ptp(np.array(boxes), axis=0).min() > 20  # pixels: it sways and approaches
    assert not np.array_equal(reader.at(0), reader.at(1))


def test_the_demo_shows_the_first_portrait_that_is_installed() -> None:
    missing = DemoPortrait("no_such_package", "face.png", (0.0, 0.0), 100.0)
    image = DemoReader(order(), [missing, PORTRAITS[1]]).at(5)
    np.testing.assert_array_equal(image, DemoReader(order(), PORTRAITS[1:]).at(5))
    with pytest.raises(SourceError, match="portrait"):
        DemoReader(order(), [missing])


def test_a_video_loops_and_its_time_continues(tmp_path: Path) -> None:
    reader = VideoFileReader(order("file", str(write_video(tmp_path / "video.avi", 5))))
    times, greys = [], []
    for _ in range(12):
        times.append(reader.grab())
        image = reader.image()
        assert image is not None
        greys.append(round(float(image.mean()), -1))
    reader.close()
    np.testing.assert_allclose(np.diff(times), 1 / 25, atol=2e-3)
    assert greys == [0, 10, 20, 30, 40] * 2 + [0, 10]


def test_a_damaged_video_is_played_past_the_damage_and_loops(tmp_path: Path) -> None:
    clip = encode(tmp_path / "clip.mkv", frames(8), *EVERY_FRAME_WHOLE)
    clip.write_bytes(without_jpeg(clip.read_bytes(), 3))
    reader = VideoFileReader(order("file", str(clip)))
    bars, times = [], []
    for _ in range(14):
        times.append(reader.grab())
        image = reader.image()
        assert image is not None
        bars.append(bar_of(image))
    reader.close()
    assert bars == [0, 1, 2, 4, 5, 6, 7] * 2
    np.testing.assert_allclose(times, [n / 10 for n in range(16) if n % 8 != 3], atol=2e-3)


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "no such file"), (b"", "is empty"), (b"text", "not a video")]
)
def test_a_video_that_cannot_be_played_reports_why(
    content: bytes | None, reason: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "video.mp4").write_bytes(content)
    with pytest.raises(SourceError, match=reason) as caught:
        VideoFileReader(order("file", str(tmp_path / "video.mp4")))
    assert caught.value.trouble == "missing"
    assert str(tmp_path) not in str(caught.value)


def test_a_webcam_that_is_not_there_is_missing(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="plugged in") as caught:
        DeviceReader(order("device", str(tmp_path / "video9")))
    assert caught.value.trouble == "missing"
    (tmp_path / "video9").write_bytes(b"no camera")
    with pytest.raises(SourceError, match="not a camera") as caught:
        DeviceReader(order("device", str(tmp_path / "video9")))
    assert caught.value.trouble == "busy"


def test_a_webcam_is_opened_by_its_number_where_it_has_no_path(monkeypatch) -> None:
    opened = []

    class Capture:
        def __init__(self, *which: object) -> None:
            opened.append(which)

        def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
            return False

    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(cv2, "VideoCapture", Capture)
    with pytest.raises(SourceError, match="webcam 1 is in use by another program"):
        DeviceReader(order("device", "1"))
    assert opened == [(1, cv2.CAP_AVFOUNDATION)]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open everything")
def test_a_webcam_that_may_not_be_opened_is_forbidden(tmp_path: Path) -> None:
    (tmp_path / "video9").touch(mode=0)
    with pytest.raises(SourceError, match="group video") as caught:
        DeviceReader(order("device", str(tmp_path / "video9")))
    assert caught.value.trouble == "forbidden"


@pytest.mark.parametrize("kind", [MjpegCamera, RtspCamera])
def test_a_network_camera_sends_the_images_it_sees(kind: type[NetworkCamera]) -> None:
    camera = kind()
    try:
        reader = NetworkReader(order("network", camera.where))
        greys = []
        for _ in range(8):
            reader.grab()
            image = reader.image()
            assert image is not None
            assert (image.shape, image.dtype) == ((48, 64, 3), np.uint8)
            assert np.ptp(image) <= 2
            greys.append(int(image.mean()))
        reader.close()
    finally:
        camera.unplug()
    np.testing.assert_allclose(np.diff(greys) % 256, 8, atol=1)


def test_a_damaged_image_costs_that_image_and_not_the_connection() -> None:
    camera = MjpegCamera(fps=100, bad_every=5)
    try:
        reader = NetworkReader(order("network", camera.where))
        greys = []
        for _ in range(60):
            reader.grab()
            image = reader.image()
            assert image is not None
            greys.append(int(image.mean()))
        reader.close()
    finally:
        camera.unplug()
    steps = np.round(np.diff(greys) % 256 / 8)
    assert set(steps) <= {1, 2}  # only one image at a time is lost
    assert (steps == 2).sum() >= 5


def test_a_camera_that_rotates_in_mid_stream_is_read_at_its_new_shape() -> None:
    camera = MjpegCamera(fps=100)
    shapes = []
    try:
        reader = NetworkReader(order("network", camera.where))
        for number in range(40):
            if number == 10:
                camera.turned.set()
            reader.grab()
            image = reader.image()
            assert image is not None
            assert np.ptp(image) <= 2  # nothing is stretched to, or kept at, the old shape
            shapes.append(image.shape)
        reader.close()
    finally:
        camera.unplug()
    assert [shape for shape, _ in itertools.groupby(shapes)] == [(48, 64, 3), (64, 48, 3)]


def test_a_video_on_a_web_server_is_played_at_its_own_pace_and_loops(tmp_path: Path) -> None:
    clip = encode(tmp_path / "clip.mp4", frames(5), *EVERY_FRAME_WHOLE)
    server = FilmServer(clip.read_bytes())
    try:
        reader = NetworkReader(order("network", server.where))
        assert not reader.live
        bars, times = [], []
        for _ in range(12):
            times.append(reader.grab())
            image = reader.image()
            assert image is not None
            bars.append(bar_of(image))
        reader.close()
    finally:
        server.unplug()
    assert bars == [*range(5), *range(5), 0, 1]
    np.testing.assert_allclose(np.diff(times), 0.1, atol=2e-3)


@pytest.mark.parametrize("kind", [MjpegCamera, RtspCamera])
@pytest.mark.parametrize(
    ("status", "trouble"), [(401, "forbidden"), (404, "missing"), (503, "busy"), (500, None)]
)
def test_a_network_camera_that_refuses_reports_why_without_the_password(
    status: int, trouble: str | None, kind: type[NetworkCamera]
) -> None:
    camera = kind(status=status)
    try:
        with pytest.raises(SourceError) as caught:
            NetworkReader(order("network", camera.where))
    finally:
        camera.unplug()
    assert caught.value.trouble == (trouble or "reconnecting")
    assert "secret" not in str(caught.value)
    assert str(caught.value).startswith("masked")


def test_a_network_camera_where_nobody_listens_is_missing() -> None:
    camera = MjpegCamera()
    camera.unplug()
    with pytest.raises(SourceError, match="nothing listens") as caught:
        NetworkReader(order("network", camera.where))
    assert caught.value.trouble == "missing"


def test_needlessly_large_images_are_made_smaller() -> None:
    assert fit(np.zeros((2160, 3840, 3), np.uint8)).shape == (1080, MAX_SIDE, 3)
    small = np.zeros((48, 64, 3), np.uint8)
    assert fit(small) is small
