"""Cameras that send one still image per request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np
import pytest

from server.cameras.network import NetworkReader
from server.cameras.reader import UNCHANGED, SourceError
from server.cameras.sources import open_reader
from server.cameras.still import StillReader, still_reader
from tests.server.network_camera import MjpegCamera, NetworkCamera, StillCamera
from tests.server.open_camera import frame_of, opened
from tests.server.orders import order


def jpeg(grey: int) -> bytes:
    return cv2.imencode(".jpg", np.full((48, 64, 3), grey, np.uint8))[1].tobytes()


@contextmanager
def plugged(camera: NetworkCamera) -> Iterator[NetworkCamera]:
    try:
        yield camera
    finally:
        camera.unplug()


@pytest.mark.parametrize("digest", [False, True])
def test_a_still_camera_is_polled_and_an_unchanged_image_is_not_decoded_twice(
    digest: bool,
) -> None:
    greys = (10, 10, 200, 200, 200)
    with plugged(StillCamera(*map(jpeg, greys), digest=digest)) as camera:
        reader = open_reader(order("network", camera.where))
        assert isinstance(reader, StillReader)
        seen = []
        for _ in greys:
            reader.grab()
            image = reader.image()
            seen.append(image if image is UNCHANGED else round(float(np.mean(image))))
    assert seen == [10, UNCHANGED, 200, UNCHANGED, UNCHANGED]


def test_a_damaged_image_and_a_failed_request_cost_that_image_only() -> None:
    with plugged(StillCamera(jpeg(10), jpeg(90)[:60], jpeg(50), jpeg(70))) as camera:
        reader = still_reader(order("network", camera.where))
        assert reader is not None
        seen = []
        for status in (200, 200, 200, 500, 200):
            camera.status = status
            reader.grab()
            image = reader.image()
            seen.append(round(float(image.mean())) if isinstance(image, np.ndarray) else image)
    assert seen == [10, None, 50, UNCHANGED, 70]


def test_requests_that_keep_failing_end_the_connection_with_the_reason(monkeypatch) -> None:
    monkeypatch.setattr("server.cameras.still._FAILING_S", 0.0)
    with plugged(StillCamera(jpeg(10))) as camera:
        reader = still_reader(order("network", camera.where))
        assert reader is not None
        reader.grab()
        reader.image()
        camera.status = 401
        with pytest.raises(SourceError, match="different user and password") as caught:
            reader.grab()
    assert caught.value.trouble == "forbidden"
    assert str(caught.value).startswith("masked")


def test_a_redirect_is_followed_on_the_cameras_own_host_only() -> None:
    with plugged(StillCamera(jpeg(10))) as target, plugged(StillCamera(b"", status=302)) as camera:
        camera.location = target.where.replace("user:se%23cret@", "")
        assert isinstance(open_reader(order("network", camera.where)), StillReader)
        asked = target.asked
        camera.location = target.where.replace("127.0.0.1", "localhost")
        with pytest.raises(SourceError, match="redirects to another machine"):
            open_reader(order("network", camera.where))
        camera.location = camera.where
        with pytest.raises(SourceError, match="redirects repeatedly"):
            open_reader(order("network", camera.where))
        assert target.asked == asked


def test_a_redirect_is_resolved_for_each_image() -> None:
    dark, light = StillCamera(jpeg(10)), StillCamera(jpeg(200))
    with plugged(dark), plugged(light), plugged(StillCamera(b"", status=302)) as camera:
        camera.location = dark.where
        reader = still_reader(order("network", camera.where))
        assert reader is not None
        reader.image()
        camera.location = light.where
        reader.grab()
        assert round(float(np.mean(reader.image()))) == 200


def test_an_image_that_cannot_be_decoded_is_never_called_unchanged() -> None:
    with plugged(StillCamera(b"<svg/>")) as camera:
        reader = still_reader(order("network", camera.where))
        assert reader is not None
        for _ in range(2):
            reader.grab()
            assert reader.image() is None


def test_a_stream_is_not_a_still_image() -> None:
    with plugged(MjpegCamera()) as camera:
        assert isinstance(open_reader(order("network", camera.where)), NetworkReader)


def test_an_image_larger_than_allowed_is_refused(monkeypatch) -> None:
    monkeypatch.setattr("server.cameras.still._MOST_BYTES", 100)
    with plugged(StillCamera(jpeg(10))) as camera:
        assert still_reader(order("network", camera.where)) is None


async def test_an_unchanged_still_image_stays_live_as_the_very_same_pixels() -> None:
    with plugged(StillCamera(jpeg(10))) as away:
        async with opened("network", away.where) as camera:
            first, second = await frame_of(camera), await frame_of(camera)
            assert camera.state.status == "live"
    assert second.number > first.number
    assert second.captured_s > first.captured_s
    assert second.image is first.image
