"""The log: repeated messages are counted, and nothing waits for its reader."""

from __future__ import annotations

import contextlib
import http.client
import logging
import os
import re
import resource
import socket
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from aiohttp.multipart import parse_content_disposition

from server.logs import WINDOW_S, QueuedLog, Repeats, queued_log
from tests.server.failing_server import FLOOD_LINES
from tests.server.live_server import read_all

ROOT = Path(__file__).resolve().parents[2]
USUAL_LIMIT = 1024  # the usual limit on open files of a process


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def record(message: str, *values: object, name: str = "server") -> logging.LogRecord:
    return logging.LogRecord(name, logging.ERROR, "", 0, message, values, None)


def failure(message: str, fail: Callable[[], object]) -> logging.LogRecord:
    try:
        fail()
    except ArithmeticError:
        return logging.LogRecord("server", logging.ERROR, "", 0, message, (), sys.exc_info())
    raise AssertionError("it did not fail")


def lines(repeats: Repeats) -> list[str]:
    return [one.getMessage() for one in repeats.summaries()]


def test_the_same_message_is_written_once_and_then_counted() -> None:
    clock = Clock()
    repeats = Repeats(clock=clock)
    assert [repeats.admits(record("%s failed", "GET /")) for _ in range(100)].count(True) == 1
    assert lines(repeats) == []
    clock.now += WINDOW_S
    assert lines(repeats) == ["GET / failed (99 more like this in 10 s)"]
    assert lines(repeats) == []
    assert repeats.admits(record("%s failed", "GET /"))


def test_few_messages_that_differ_only_in_arguments_are_written() -> None:
    clock = Clock()
    repeats = Repeats(clock=clock)
    admitted = [repeats.admits(record("%s failed", f"GET /{n}")) for n in range(100)]
    assert admitted == 5 * [True] + 95 * [False]
    assert repeats.admits(record("%s stopped", "door"))
    assert repeats.admits(record("%s failed", "GET /", name="other"))
    clock.now += WINDOW_S
    assert lines(repeats) == ["GET /0 failed (95 more like this in 10 s)"]


def test_tracebacks_from_different_places_are_different_messages() -> None:
    repeats = Repeats(clock=Clock())
    assert repeats.admits(failure("a request failed", lambda: 1 / 0))
    assert repeats.admits(failure("a request failed", lambda: 1.0 % 0))
    repeated = [failure("a request failed", lambda: 2 // 0) for _ in range(3)]
    assert [repeats.admits(one) for one in repeated] == [True, False, False]


def test_only_the_first_line_distinguishes_messages() -> None:
    repeats = Repeats(clock=Clock())
    told = [repeats.admits(record(f"Exception in callback\nhandle: {n}")) for n in range(3)]
    assert told == [True, False, False]


def test_the_number_of_remembered_messages_is_limited() -> None:
    repeats = Repeats(clock=Clock())
    for n in range(1000):
        for _ in range(2):
            repeats.admits(record(f"message {n}"))
    assert len(lines(repeats)) == 1000 - 256


def test_a_record_that_finds_the_queue_full_is_counted() -> None:
    handler = QueuedLog(clock=Clock())
    for n in range(1010):
        handler.handle(record("a line", name=f"logger {n}"))
    assert handler.lines.full()
    assert handler.take_lost() == [
        "WARNING server.logs: 10 records were dropped; the log was not read"
    ]
    assert handler.take_lost() == []


def test_logging_does_not_block_on_an_unread_pipe() -> None:
    reading, writing = os.pipe()
    logged = threading.Event()

    def log() -> None:
        with queued_log(descriptor=writing):
            for n in range(FLOOD_LINES):
                logging.getLogger(f"logger {n}").error("%s", 100 * "x")
            logged.set()

    thread = threading.Thread(target=log, daemon=True)
    thread.start()
    assert logged.wait(20), "logging waits for its reader"
    thread.join(10)
    assert not thread.is_alive(), "the exit waits for a reader"
    os.close(writing)
    with open(reading, "rb") as pipe:
        assert 0 < len(pipe.read()) <= 1 << 16


def test_warnings_do_not_block_either_and_those_on_forms_are_left_out() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as log, os.fdopen(writing, "wb") as end:
        with queued_log(descriptor=end.fileno()):
            warnings.simplefilter("always", UserWarning)  # the tests make errors of them
            warnings.warn("of a library", stacklevel=1)
            for number in range(3):
                name = f"attachment; filename*=utf-99''%ff{number}"
                assert parse_content_disposition(name) == ("attachment", {})
        end.close()
        written = log.read().decode()
    assert "WARNING py.warnings: " in written
    assert "of a library" in written
    assert "utf-99" not in written


def test_all_lines_are_written_before_exit() -> None:
    reading, writing = os.pipe()
    with queued_log(descriptor=writing):
        for _ in range(3):
            logging.getLogger("server").error("it failed")
        logging.getLogger("server").warning("the last word")
    os.close(writing)
    with open(reading, "rb") as pipe:
        assert pipe.read().decode().splitlines() == [
            "ERROR server: it failed",
            "WARNING server: the last word",
            "ERROR server: it failed (2 more like this in 10 s)",
        ]


@contextlib.contextmanager
def failing_server(
    checkpoint: str, *, descriptors: int | None = None
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The process and its port; its standard error is a pipe that nobody reads."""
    limit = [] if descriptors is None else ["sh", "-c", f'ulimit -n {descriptors}; exec "$@"', "sh"]
    line = [*limit, sys.executable, "-m", "tests.server.failing_server", "--port", "0"]
    process = subprocess.Popen(
        [*line, "--source", "browser", "--checkpoint", checkpoint],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        port = re.search(rb":(\d+)$", process.stdout.readline().strip())
        assert port
        yield process, int(port[1])
    finally:
        process.kill()
        process.communicate()


def log_of(process: subprocess.Popen[bytes]) -> str:
    """Everything the process wrote, after it has ended."""
    process.terminate()
    _, written = process.communicate(timeout=30)
    return written.decode()


def statuses(port: int, path: str, *, times: int) -> set[int]:
    """The statuses of that many requests on one connection."""
    found = set()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with contextlib.closing(connection):
        for _ in range(times):
            connection.request("GET", path)
            response = connection.getresponse()
            response.read()
            found.add(response.status)
    return found


def test_the_same_failure_many_times_is_one_traceback_and_a_count(checkpoint: str) -> None:
    with failing_server(checkpoint) as (process, port):
        assert statuses(port, "/healthz", times=2000) == {500}
        written = log_of(process)
    assert written.count("Traceback") == 1
    assert written.count("RuntimeError: a defect") == 1
    counts = re.findall(r"GET /healthz from 127.0.0.1 failed \((\d+) more like this", written)
    assert sum(map(int, counts)) >= 1990
    assert len(written) < 8000


def test_an_unread_log_blocks_no_response(checkpoint: str) -> None:
    with failing_server(checkpoint) as (process, port):
        assert statuses(port, "/healthz?flood", times=3) == {500}
        assert statuses(port, "/static/style.css", times=1) == {200}
        assert process.poll() is None


def test_more_clients_than_descriptors_are_refused_without_flooding_the_log(
    checkpoint: str,
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2 * USUAL_LIMIT:
        pytest.skip(f"needs {2 * USUAL_LIMIT} descriptors for its clients; see ulimit -Hn")

    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * USUAL_LIMIT), hard))
    try:
        with failing_server(checkpoint, descriptors=USUAL_LIMIT) as (process, port):
            with contextlib.ExitStack() as stack:
                clients = [stack.enter_context(connected(port, n)) for n in range(USUAL_LIMIT)]
                last = read_all(clients[-1])
                assert last.startswith(b"HTTP/1.1 503 ") or not last
                clients[0].sendall(b"GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n")
                assert clients[0].recv(12).startswith(b"HTTP/1.0 ")
            written = log_of(process)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert "leaves room for" in written
    assert "Traceback" not in written
    assert len(written) < 4000


@contextlib.contextmanager
def connected(port: int, n: int) -> Iterator[socket.socket]:
    """The n-th client, from one of many addresses."""
    with socket.socket() as bare:
        bare.settimeout(30)
        bare.bind((f"127.0.0.{2 + n // 100}", 0))
        bare.connect(("127.0.0.1", port))
        yield bare
