"""A visitor's own camera: one image at a time, one visitor at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import cv2
import numpy as np
import pytest

from fer_jax.media.image_errors import BadImageError
from server.cameras import browser_camera
from server.cameras.browser_camera import BrowserCamera, CameraBusyError
from server.settings import Limits, Source

pytestmark = pytest.mark.timeout(20)


def jpeg(width: int = 64, height: int = 48, grey: int = 128) -> bytes:
    grey_image = np.full((height, width, 3), grey, np.uint8)
    return cv2.imencode(".jpg", grey_image)[1].tobytes()


@asynccontextmanager
async def opened(limits: Limits | None = None) -> AsyncIterator[BrowserCamera]:
    camera = BrowserCamera(Source("me", "browser", "browser", "browser"), limits=limits)
    await camera.start()
    try:
        yield camera
    finally:
        await camera.close()


async def test_an_image_is_acknowledged_when_it_has_been_taken() -> None:
    async with opened() as camera:
        assert camera.state.status == "missing"
        with camera.visit() as visit:
            offer = asyncio.create_task(visit.offer(jpeg(grey=200)))
            while camera.state.frames == 0:  # noqa: ASYNC110 - single frames set no event
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.05)
            assert not offer.done()
            frame = await camera.slot.get()
            assert await offer == frame.number == 1
            assert frame.image.shape == (48, 64, 3)
            assert abs(int(frame.image.mean()) - 200) <= 2
            assert camera.state.status == "live"
        assert camera.state.status == "missing"
        assert "no visitor" in camera.state.reason


async def test_an_image_that_nobody_takes_does_not_hold_up_the_visitor_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(browser_camera, "_TAKEN_WITHIN_S", 0.05)

    async with opened() as camera:
        with camera.visit() as visit:
            assert [await visit.offer(jpeg()) for _ in range(3)] == [1, 2, 3]
        assert (await camera.slot.get()).number == 3
        assert camera.state.drops == 2


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"\xff\xd8 nothing more", "damaged"),
        (jpeg()[:-20], "cut short"),
        (cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes(), "sends JPEG"),
        (jpeg(300, 200), "pixels"),
        (jpeg() + bytes(9000), "bytes"),
    ],
)
async def test_an_unfit_image_is_refused_and_the_next_one_accepted(
    data: bytes, reason: str
) -> None:
    limits = Limits(image_bytes=9000, image_pixels=10_000)
    async with opened(limits) as camera:
        with camera.visit() as visit:
            with pytest.raises(BadImageError, match=reason):
                await visit.offer(data)
            offer = asyncio.create_task(visit.offer(jpeg()))
            assert (await camera.slot.get()).number == 1
            await offer


async def test_a_second_visitor_is_refused_until_the_first_has_left_or_gone_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with opened() as camera:
        first = camera.visit()
        with pytest.raises(CameraBusyError, match="another visitor"):
            camera.visit()
        first.leave()
        second = camera.visit()
        monkeypatch.setattr(browser_camera, "_YIELDS_S", 0.0)
        third = camera.visit()
        with pytest.raises(CameraBusyError, match="taken over"):
            await second.offer(jpeg())
        second.leave()  # no longer concerns the third one
        offer = asyncio.create_task(third.offer(jpeg()))
        await camera.slot.get()
        await offer
        assert camera.state.status == "live"


async def test_a_visitor_who_stops_sending_is_stalled_and_live_again_with_the_next_image(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(browser_camera, "_STALLED_S", 0.1)

    async with opened() as camera:
        with camera.visit() as visit:
            version = camera.version
            while camera.state.status != "stalled":
                version = await camera.wait_changed(version)
            monkeypatch.setattr(browser_camera, "_STALLED_S", 60.0)
            offer = asyncio.create_task(visit.offer(jpeg()))
            await camera.slot.get()
            await offer
            assert camera.state.status == "live"


async def test_images_are_acknowledged_and_dropped_while_paused() -> None:
    async with opened() as camera:
        camera.set_paused(True)
        with camera.visit() as visit:
            assert camera.state.status == "paused"
            await visit.offer(jpeg())
            assert camera.state.frames == 0
            camera.set_paused(False)
            offer = asyncio.create_task(visit.offer(jpeg()))
            assert (await camera.slot.get()).number == 1
            await offer


async def test_a_closed_camera_takes_no_visitor_and_no_image() -> None:
    async with opened() as camera:
        visit = camera.visit()
        await camera.close()
        with pytest.raises(CameraBusyError):
            await visit.offer(jpeg())
        visit.leave()
        with pytest.raises(CameraBusyError, match="closed"):
            camera.visit()
        assert camera.state.status == "ended"
