"""Readers too slow for what they requested: how long the server waits for them, and their count."""

from __future__ import annotations

import asyncio
import time
from typing import cast

import pytest

from server.access.stuck_sockets import StuckSockets
from server.settings import Limits
from tests.server.live_server import LiveServer, read_all, settings_of

PIPELINED = b"GET /static/viewer.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
RATE = 16 * 1024


class Transport:
    """Reports as many unsent bytes as the test sets."""

    def __init__(self) -> None:
        self.pending = 0
        self.aborted = False

    def get_write_buffer_size(self) -> int:
        return self.pending

    def get_extra_info(self, name: str) -> None:
        del name

    def abort(self) -> None:
        self.aborted = True


@pytest.fixture
def closed() -> list[None]:
    return []


@pytest.fixture
def sockets(closed: list[None]) -> StuckSockets:
    return StuckSockets(stuck_s=10, on_close=lambda: closed.append(None))


@pytest.fixture
def transport(sockets: StuckSockets) -> Transport:
    made = Transport()
    sockets.add(cast(asyncio.WriteTransport, made))
    return made


def test_an_answer_has_a_deadline_even_if_a_little_is_read(
    sockets: StuckSockets, transport: Transport, closed: list[None]
) -> None:
    transport.pending = 5 * RATE  # ten seconds, plus five for that many bytes
    for now in range(15):
        sockets.check(now)
        transport.pending -= 1
    assert not transport.aborted
    sockets.check(15)
    assert transport.aborted
    assert closed == [None]


def test_further_answers_buy_no_more_time_than_their_bytes_need(
    sockets: StuckSockets, transport: Transport
) -> None:
    transport.pending = RATE
    sockets.check(0)  # until 11
    transport.pending += RATE
    sockets.check(1)  # until 12
    sockets.check(11.9)
    assert not transport.aborted
    sockets.check(12)
    assert transport.aborted


def test_a_reader_who_takes_each_response_gets_a_new_deadline_for_the_next(
    sockets: StuckSockets, transport: Transport
) -> None:
    for now in range(0, 100, 9):
        transport.pending = 1000
        sockets.check(now)
        transport.pending = 0
        sockets.check(now + 8)
    assert not transport.aborted


def test_a_stream_may_lag_for_ever_as_long_as_it_moves(
    sockets: StuckSockets, transport: Transport
) -> None:
    with sockets.stream(cast(asyncio.WriteTransport, transport)):
        for now in range(0, 100, 9):
            transport.pending = 50_000 + now
            sockets.check(now)
        assert not transport.aborted
        sockets.check(99 + 9.9)
        assert not transport.aborted
        sockets.check(99 + 10)
    assert transport.aborted


def test_closed_connections_are_forgotten(sockets: StuckSockets, transport: Transport) -> None:
    transport.pending = 1
    sockets.check(0)
    sockets.remove(cast(asyncio.WriteTransport, transport))
    sockets.check(1000)
    assert not transport.aborted


def test_pipelined_requests_with_unread_responses_lose_their_connection(
    checkpoint: str,
) -> None:
    settings = settings_of(checkpoint, limits=Limits(stuck_viewer_s=1.0))
    with LiveServer(settings) as server:
        server.wait_ready()
        with server.connect(receive_buffer=4096) as bare:
            bare.sendall(PIPELINED * 400)
            until = time.monotonic() + 30
            while b'fer_rejections_total{reason="slow_reader"} 1.0' not in (
                server.get("/metrics").body
            ):
                assert time.monotonic() < until, "the connection was kept"
            with pytest.raises(ConnectionResetError):
                read_all(bare)
        with server.connect() as bare:  # a client that reads them gets them all
            bare.sendall(
                PIPELINED * 399 + PIPELINED.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
            )
            bare.settimeout(60)
            assert read_all(bare).count(b"HTTP/1.1 200") == 400
