"""The capture process alone: the wire format, the pace, and how it ends."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from server.cameras import wire
from server.cameras.capture_handle import CaptureProcess
from server.cameras.capture_process import Demands, play, relay
from server.cameras.wire import CapturedImage, Demand, Report
from tests.server.open_camera import alive
from tests.server.orders import order

ROOT = Path(__file__).resolve().parents[3]
CAPTURE = [sys.executable, "-m", "server.cameras.capture_process"]


class EndedError(Exception):
    pass


class Counter:
    """Numbered images, as fast as they are requested."""

    def __init__(self, count: int, *, fps: float, live: bool = False) -> None:
        self.fps, self.live, self._left, self._count = fps, live, count, count

    def grab(self) -> float:
        if not self._left:
            raise EndedError
        self._left -= 1
        if self.live:
            time.sleep(1 / self.fps)
            return time.monotonic()
        return (self._count - self._left) / self.fps

    def image(self) -> np.ndarray:
        return np.zeros((1, 1, 3), np.uint8)

    def close(self) -> None:
        pass


def sent_times(pump: object, reader: Counter, demand: Demand, **options: bool) -> list[float]:
    sent: list[CapturedImage] = []
    with pytest.raises(EndedError):
        pump(reader, Demands(demand), sent.append, **options)  # type: ignore[operator]
    return [captured.captured_s for captured in sent]


def test_images_and_reports_cross_a_pipe_unchanged() -> None:
    read, write = os.pipe()
    image = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    captured = CapturedImage(image=image, captured_s=1.5, wall_s=2.5)
    report = Report(trouble="busy", reason="in use ü dort", fps=29.97)

    def send() -> None:
        wire.send_image(write, captured)
        wire.send_report(write, report)
        os.close(write)

    thread = threading.Thread(target=send)
    thread.start()
    with io.FileIO(read) as pipe:
        came = wire.receive(pipe)
        assert isinstance(came, CapturedImage)
        assert (came.captured_s, came.wall_s) == (1.5, 2.5)
        np.testing.assert_array_equal(came.image, image)
        assert wire.receive(pipe) == report
        assert wire.receive(pipe) is None
    thread.join()


@pytest.mark.parametrize("noise", [b"\xff" * 64, b"fjx1P" + b"\xff" * 59, b"fjx1R" + b"\xff" * 59])
def test_noise_on_the_pipe_is_refused(noise: bytes, tmp_path: Path) -> None:
    (tmp_path / "noise").write_bytes(noise)
    with io.FileIO(tmp_path / "noise") as pipe, pytest.raises(wire.WireError):
        wire.receive(pipe)


def test_a_truncated_message_ends_the_connection(tmp_path: Path) -> None:
    with open(tmp_path / "cut", "wb") as file:
        captured = CapturedImage(image=np.zeros((8, 8, 3), np.uint8), captured_s=0.0, wall_s=0.0)
        wire.send_image(file.fileno(), captured)
        file.truncate(100)
    with io.FileIO(tmp_path / "cut") as pipe:
        assert wire.receive(pipe) is None


def test_frames_are_never_played_ahead_of_their_time() -> None:
    times = sent_times(play, Counter(10, fps=50.0), Demand(), unpaced=False)
    assert len(times) == 10
    behind = [time_s - times[0] - number / 50.0 for number, time_s in enumerate(times)]
    assert min(behind) > -1e-3


def test_an_unpaced_video_is_played_at_once() -> None:
    times = sent_times(play, Counter(100, fps=1.0), Demand(), unpaced=True)
    assert len(times) == 100
    assert times[-1] - times[0] < 5.0  # of 100 s


def test_a_demand_of_few_frames_a_second_is_not_exceeded() -> None:
    times = sent_times(play, Counter(4, fps=1000.0), Demand(fps=20.0), unpaced=True)
    assert len(times) == 4
    assert np.diff(times).min() > 0.049
    times = sent_times(relay, Counter(40, fps=200.0, live=True), Demand(fps=20.0))
    assert 2 <= len(times) < 40
    assert np.diff(times).min() > 0.04


def test_a_new_viewer_does_not_wait_for_the_idle_second() -> None:
    demands = Demands(Demand(fps=0.01))
    sent: list[CapturedImage] = []

    def take(captured: CapturedImage) -> None:
        sent.append(captured)
        if len(sent) == 1:
            threading.Timer(0.05, demands.replace, [Demand()]).start()

    with pytest.raises(EndedError):
        play(Counter(3, fps=100.0), demands, take, unpaced=False)
    assert len(sent) == 3
    assert sent[-1].captured_s - sent[0].captured_s < 10.0  # of 200 s


def test_nothing_is_sent_while_paused() -> None:
    assert sent_times(relay, Counter(5, fps=200.0, live=True), Demand(paused=True)) == []


def test_the_capture_process_does_not_import_jax() -> None:
    program = (
        "import sys, server.cameras.capture_process, server.cameras.device, server.cameras.network;"
        "import server.cameras.video_file, server.cameras.demo, server.cameras.still;"
        "sys.exit('jax' in sys.modules or 'matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=60, check=False).returncode == 0


def test_a_source_never_appears_in_the_process_list_and_ends_with_its_input() -> None:
    process = subprocess.Popen(CAPTURE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    assert process.stdin is not None
    process.stdin.write(wire.line(order(where="rtsp://user:secret@door")) + wire.line(Demand()))
    with process.stdout as pipe:  # type: ignore[union-attr]
        assert isinstance(wire.receive(pipe), Report)  # type: ignore[arg-type]
        for secret in ("cmdline", "environ"):
            assert b"secret" not in Path(f"/proc/{process.pid}/{secret}").read_bytes()
        process.stdin.close()
        assert process.wait(timeout=20) == 0  # although nobody reads its output


async def test_a_capture_process_knows_no_server_secret(monkeypatch) -> None:
    monkeypatch.setenv("FER_TOKEN", "open sesame")
    started = asyncio.Event()
    handle = CaptureProcess(
        "demo",
        order(kind="demo", where="demo"),
        Demand(),
        on_image=lambda captured: None,
        on_report=lambda report: started.set(),
    )
    try:
        await started.wait()
        found = await asyncio.to_thread(Path(f"/proc/{handle.pid}/environ").read_bytes)
    finally:
        assert await handle.end()
    assert b"PYTHONPATH=" in found
    assert b"sesame" not in found


PARENT = """
import asyncio, json, sys, time
from server.cameras.opening import CapturedCamera
from server.settings import Settings, Source
async def main():
    source = Source("demo", "demo", "demo", "demo")
    camera = CapturedCamera(source, settings=Settings(sources=(source,)))
    await camera.start()
    await camera.slot.get()
    print(json.dumps(camera.pid), flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


def test_a_killed_server_leaves_no_capture_process_not_even_a_stopped_one() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE)
    with parent.stdout as pipe:  # type: ignore[union-attr]
        child = json.loads(pipe.readline())  # type: ignore[union-attr]
    os.kill(child, signal.SIGSTOP)
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 20
    while alive(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive(child)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux reports what a process has mapped")
def test_a_camera_cannot_take_all_memory() -> None:
    code = (
        "import sys, numpy, server.cameras.capture_process as process\n"
        "sys.exit(process.main(lambda order: numpy.ones(1 << 33, numpy.uint8)))"
    )
    text = wire.line(order()) + wire.line(Demand(fps=None))
    line = [sys.executable, "-c", code]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(line, cwd=ROOT, bufsize=0, **pipes) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(text)
        report = wire.receive(process.stdout)  # type: ignore[arg-type]
    assert isinstance(report, Report)
    assert "failed inside" in str(report.reason)
    assert "MemoryError" in str(report.reason)
