"""The server as a separate process, as users start it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.media import hostile_images as hostile
from tests.server.live_server import read_until

ROOT = Path(__file__).resolve().parents[2]


@contextlib.contextmanager
def started(*argv: str, module: str = "server") -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The process and its port, once it listens; killed at the end."""
    line = [sys.executable, "-m", module, "--port", "0", *argv]
    process = subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        port = re.search(r":(\d+)$", first.strip())
        assert port, f"it printed {first!r}"
        yield process, int(port[1])
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def connect(port: int, path: str) -> socket.socket:
    bare = socket.create_connection(("127.0.0.1", port), timeout=60)
    bare.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
    return bare


def wait_gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=10)
    assert not alive, "a capture process outlived the server"


def refusal(*argv: str, **environment: str) -> str:
    """The server's message when a user error prevents its start."""
    line = [sys.executable, "-m", "server", *argv]
    ended = subprocess.run(
        line,
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1, ended.stderr
    return ended.stderr


def test_sigterm_ends_all_streams_and_processes_within_5_seconds(checkpoint: str):
    with (
        started("--source", "demo", "--source", "browser", "--checkpoint", checkpoint) as (
            process,
            port,
        ),
        contextlib.ExitStack() as stack,
    ):
        watching = [
            stack.enter_context(contextlib.closing(connect(port, path)))
            for path in ["/stream/demo.mjpg"] * 8 + ["/api/events"] * 4
        ]
        for bare in watching[:4]:  # the others never read
            read_until(bare, b"\r\n\r\n")
        bomb = hostile.text_bomb()
        head = "POST /api/score HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
        for _ in range(4):
            bare = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            bare.sendall(f"{head}Content-Length: {len(bomb)}\r\n\r\n".encode() + bomb)
        children = psutil.Process(process.pid).children(recursive=True)
        assert children
        if sys.platform == "linux":
            limits = Path(f"/proc/{process.pid}/limits").read_text()
            assert re.search(r"Max core file size +0 ", limits)
        started_s = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert time.monotonic() - started_s < 5
        wait_gone(children)


def test_a_stopped_server_does_not_wait_for_a_compilation(checkpoint: str):
    # It compiles for ever, and so would the interpreter wait.
    with started(
        "--source", "browser", "--checkpoint", checkpoint, module="tests.server.compiling_server"
    ) as (process, _):
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def test_sigkill_leaves_no_capture_process(checkpoint: str):
    with started("--source", "demo", "--checkpoint", checkpoint) as (process, _):
        children = psutil.Process(process.pid).children(recursive=True)
        assert children
        process.kill()
        wait_gone(children)


def test_a_mistake_ends_in_one_line_and_code_2(tmp_path: Path):
    assert "token" in refusal("--host", "0.0.0.0", FER_TOKEN="")
    assert "no such file" in refusal("--source", str(tmp_path / "video.mp4"))
    assert str(tmp_path) in refusal("--checkpoint", str(tmp_path), "--source", "demo")


def test_a_port_in_use_is_a_user_error(checkpoint: str):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        told = refusal("--port", str(port), "--source", "browser", "--checkpoint", checkpoint)
    assert str(port) in told


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_startup_ends_cleanly(checkpoint: str, number: signal.Signals):
    line = [sys.executable, "-X", "importtime", "-m", "server", "--port", "0"]
    line += ["--source", "demo", "--checkpoint", checkpoint]
    with subprocess.Popen(line, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        imports = iter(process.stderr)
        assert any(
            "server.listen" in imported for imported in imports
        )  # the last one before it starts
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        told = [said for said in imports if not said.startswith("import time:")]
        assert told == ["interrupted\n"]
        assert process.wait(60) == 128 + number
        wait_gone(children)


def test_one_of_two_servers_started_together_on_one_port_ends_in_one_line(checkpoint: str):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    line = [sys.executable, "-m", "server", "--port", str(port), "--source", "browser"]
    line += ["--checkpoint", checkpoint]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    both = [subprocess.Popen(line, cwd=ROOT, **pipes) for _ in range(2)]
    try:
        said = [process.stdout.readline() for process in both]
        assert sorted(map(bool, said)) == [False, True], said
        loser, winner = both if not said[0] else both[::-1]
        _, told = loser.communicate(timeout=60)
        told = [line for line in told.splitlines() if "running as root" not in line]
        assert (loser.returncode, len(told)) == (2, 1)
        assert f":{port}: cannot listen on this address (address already in use)" in told[0]
        assert winner.poll() is None
    finally:
        for process in both:
            process.kill()
            process.communicate()
