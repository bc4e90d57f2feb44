from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import cv2
import numpy as np
import pytest

from tests.server.live_server import LiveServer, read_all, read_until


def a_jpeg() -> bytes:
    noise = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
    return cv2.imencode(".jpg", noise)[1].tobytes()


def visit(server: LiveServer, talk: Any) -> Any:
    async def run() -> Any:
        url = f"http://127.0.0.1:{server.port}/ws/camera?camera=browser"
        async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket_:
            return await asyncio.wait_for(talk(socket_), 30)

    return asyncio.run(run())


def test_a_visitors_images_are_acknowledged_one_by_one_and_analysed(live: LiveServer):
    async def talk(up: aiohttp.ClientWebSocketResponse) -> list[dict[str, Any]]:
        got = []
        for _ in range(3):
            await up.send_bytes(a_jpeg())
            while (message := await up.receive_json())["type"] != "ack":
                got.append(message)
            got.append(message)
        while got[-1]["type"] != "analysis":
            got.append(await up.receive_json())
        return got

    got = visit(live, talk)
    numbers = [message["number"] for message in got if message["type"] == "ack"]
    assert numbers == sorted(set(numbers))
    found = next(message for message in got if message["type"] == "analysis")
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
def test_a_visitor_who_sends_no_image_is_told_so_and_let_go(
    live: LiveServer, message: str | bytes, code: str
):
    async def talk(up: aiohttp.ClientWebSocketResponse) -> tuple[Any, aiohttp.WSMsgType]:
        await (up.send_str(message) if isinstance(message, str) else up.send_bytes(message))
        told = await up.receive_json()
        return told, (await up.receive()).type

    told, end = visit(live, talk)
    assert (told["type"], told["code"]) == ("error", code)
    assert end is aiohttp.WSMsgType.CLOSE


def test_a_visitor_hears_nothing_of_what_the_one_before_showed(live: LiveServer):
    async def show(up: aiohttp.ClientWebSocketResponse, *, until: str) -> dict[str, Any]:
        await up.send_bytes(a_jpeg())
        while (message := await up.receive_json())["type"] != until:
            pass
        return message

    before = visit(live, lambda up: show(up, until="ack"))  # and left before it was analysed
    heard = visit(live, lambda up: show(up, until="analysis"))
    assert heard["number"] > before["number"]


def test_a_second_visitor_finds_the_camera_busy(live: LiveServer):
    async def talk(up: aiohttp.ClientWebSocketResponse) -> Any:
        await up.send_bytes(a_jpeg())
        while (await up.receive_json())["type"] != "ack":
            pass
        upgrade = {"Upgrade": "websocket", "Connection": "Upgrade"}
        return await asyncio.to_thread(live.get, "/ws/camera", **upgrade)

    assert visit(live, talk).code == "camera_busy"


def test_a_socket_for_images_is_only_a_browser_cameras(live: LiveServer):
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
