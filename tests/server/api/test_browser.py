from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import cv2
import numpy as np
import pytest

from tests.server.live_server import LiveServer, read_all, read_until

pytestmark = pytest.mark.timeout(30, func_only=True)  # not counting the server's start


def a_jpeg() -> bytes:
    noise = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
    return cv2.imencode(".jpg", noise)[1].tobytes()


@asynccontextmanager
async def visit(server: LiveServer) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    url = f"http://127.0.0.1:{server.port}/ws/camera?camera=browser"
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as up:
        yield up


async def receive_until(kind: str, up: aiohttp.ClientWebSocketResponse) -> list[dict[str, Any]]:
    """The messages up to the first one of this type."""
    messages = [await up.receive_json()]
    while messages[-1]["type"] != kind:
        messages.append(await up.receive_json())
    return messages


async def test_a_visitors_images_are_acknowledged_one_by_one_and_analysed(live: LiveServer):
    messages = []
    async with visit(live) as up:
        for _ in range(3):
            await up.send_bytes(a_jpeg())
            messages += await receive_until("ack", up)
        messages += await receive_until("analysis", up)
    numbers = [message["number"] for message in messages if message["type"] == "ack"]
    assert numbers == sorted(set(numbers))
    found = next(message for message in messages if message["type"] == "analysis")
    assert (found["camera"], found["width"], found["height"]) == ("browser", 320, 240)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("hello", "bad_message"),
        (b"no image", "bad_image"),
        (b"", "bad_image"),
        (b"\xff\xd8\xff\xd9", "bad_image"),
    ],
)
async def test_a_visitor_who_sends_no_image_gets_the_reason_and_is_disconnected(
    live: LiveServer, message: str | bytes, code: str
):
    async with visit(live) as up:
        await (up.send_str(message) if isinstance(message, str) else up.send_bytes(message))
        refusal = await up.receive_json()
        assert (refusal["type"], refusal["code"]) == ("error", code)
        assert (await up.receive()).type is aiohttp.WSMsgType.CLOSE


async def test_a_visitor_gets_no_results_from_the_visitor_before(live: LiveServer):
    async with visit(live) as up:
        await up.send_bytes(a_jpeg())
        before = (await receive_until("ack", up))[-1]  # and leaves before it is analysed
    async with visit(live) as up:
        await up.send_bytes(a_jpeg())
        heard = (await receive_until("analysis", up))[-1]
    assert heard["number"] > before["number"]


async def test_a_second_visitor_finds_the_camera_busy(live: LiveServer):
    async with visit(live) as up:
        await up.send_bytes(a_jpeg())
        await receive_until("ack", up)
        upgrade = {"Upgrade": "websocket", "Connection": "Upgrade"}
        answer = await asyncio.to_thread(live.get, "/ws/camera", **upgrade)
    assert answer.code == "camera_busy"


def test_only_a_browser_camera_has_a_socket_for_images(live: LiveServer):
    assert live.get("/ws/camera?camera=browser").code == "upgrade_required"
    assert live.get("/ws/camera?camera=nobody").code == "unknown_camera"
    assert live.get("/ws/camera?camera=demo").code == "not_a_browser_camera"
    assert live.get("/ws/camera", Upgrade="websocket", Connection="Upgrade").status == 400


def test_broken_websocket_frames_end_the_visit_and_nothing_else(live: LiveServer):
    request = (
        b"GET /ws/camera HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    for broken in (
        b"\xff" * 64,  # reserved bits and an unknown kind of frame
        b"\x82\xff" + b"\xff" * 8 + b"mask",  # as long as 2^63
        b"\x89\xfe\x10\x00mask" + b"x" * 4096,  # a ping with too much in it
    ):
        with live.raw(request) as bare:
            assert b" 101 " in read_until(bare, b"\r\n")
            bare.sendall(broken)
            read_all(bare)
    assert live.get("/healthz").status == 200
