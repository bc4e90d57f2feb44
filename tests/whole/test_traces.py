"""No dependency may phone home or leave a file: a fresh home, with every system call recorded."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil
import pytest

from tests.faces.sample_media import PHOTO
from tests.traces import Trace, read_trace, strace, traced

ROOT = Path(__file__).resolve().parents[2]
LOOPBACK = {"127.0.0.1", "::1"}
# Within the kernel only: this machine's addresses, and unnamed socket pairs.
KERNEL = {"AF_NETLINK", "AF_UNIX"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home and a folder for traces; no other environment variables."""
    (tmp_path / "trace").mkdir()
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def environment(home: Path) -> Mapping[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home)}


def strangers(trace: Trace, *allowed: Path) -> set[str]:
    """Files written outside `allowed`, except devices, the kernel's files and compiled Python."""
    inside = ("/dev/", "/proc/self/", *(f"{path}/" for path in allowed))
    roots = {str(path) for path in allowed}
    return {
        path
        for path in trace.written - roots
        if not path.startswith(inside) and "/__pycache__" not in path
    }


def score(port: int) -> int:
    """Has the photograph scored; a slow machine may miss the server's deadline at first."""
    for _ in range(20):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        with contextlib.closing(connection):
            body, headers = PHOTO.read_bytes(), {"Content-Type": "image/jpeg"}
            connection.request("POST", "/api/score", body, headers)
            status = connection.getresponse().status
        if status not in (429, 503, 504):
            return status
        time.sleep(1)
    return status


def test_scoring_writes_only_its_outputs_and_our_cache_and_contacts_nobody(home: Path) -> None:
    out = home.parent / "out"
    out.mkdir()
    line = [sys.executable, "-m", "fer_jax.score", str(PHOTO), "--out", str(out / "faces.csv")]
    line += ["--annotate", str(out / "seen"), "--summary", str(out / "summary.html")]
    traces = home.parent / "trace"
    subprocess.run(
        traced(strace(), traces, line), cwd=ROOT, env=environment(home), check=True, timeout=240
    )
    trace = read_trace(traces)
    assert str(out / "faces.csv") in trace.written
    assert strangers(trace, out, home / ".cache" / "fer_jax") == {str(home / ".cache")}
    assert trace.called <= KERNEL
    assert [path.name for path in home.iterdir()] == [".cache"]
    assert [path.name for path in (home / ".cache").iterdir()] == ["fer_jax"]


SMALL_RUN = (
    "--config.data.name=synthetic",
    "--config.data.synthetic_train=64",
    "--config.data.synthetic_validation=32",
    "--config.batch_size=16",
    "--config.epochs=1",
    "--config.model.name=seed_cnn",
    "--config.resolution.start=48",
)


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "line",
    [
        ("explain", str(PHOTO)),
        ("explore", "--data", "faces"),
        ("export", "--format", "stablehlo"),
        ("train", "--config", "base", *SMALL_RUN),
    ],
    ids=lambda line: line[0],
)
def test_the_other_commands_write_only_their_outputs_and_our_cache_and_contact_nobody(
    home: Path, line: Sequence[str]
) -> None:
    faces, out, traces = (home.parent / name for name in ("faces", "out", "trace"))
    out.mkdir()
    for name in ("happy", "sad"):
        (faces / "train" / name).mkdir(parents=True)
        shutil.copy(PHOTO, faces / "train" / name)
    given = [str(faces) if part == "faces" else part for part in line]
    command = [sys.executable, "-m", "fer_jax", *given, "--out", str(out / "it")]
    subprocess.run(
        traced(strace(), traces, command), cwd=ROOT, env=environment(home), check=True, timeout=240
    )
    trace = read_trace(traces)
    assert any(out.iterdir())
    assert strangers(trace, out, home / ".cache" / "fer_jax") <= {str(home / ".cache")}
    assert trace.called <= KERNEL


def test_a_server_writes_only_our_cache_and_communicates_only_on_loopback(home: Path) -> None:
    line = [sys.executable, "-m", "server", "--port", "0", "--source", "demo"]
    traces = home.parent / "trace"
    process = subprocess.Popen(
        traced(strace(), traces, line),
        cwd=ROOT,
        env=environment(home),
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            found = re.search(r":(\d+)$", process.stdout.readline().strip())
            assert found
            assert score(int(found[1])) == 200
            (server,) = psutil.Process(process.pid).children()
            server.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        finally:
            process.kill()
    trace = read_trace(traces)
    assert strangers(trace, home / ".cache" / "fer_jax") == {str(home / ".cache")}
    assert "127.0.0.1" in trace.called
    assert trace.called <= LOOPBACK | KERNEL
    assert [path.name for path in (home / ".cache").iterdir()] == ["fer_jax"]


def test_a_trace_also_shows_files_and_connections_of_children(home: Path) -> None:
    inner = (
        "import os, socket; os.mkdir('made'); os.rename('made', 'moved'); open('file', 'w'); "
        "socket.socket(type=socket.SOCK_DGRAM).connect(('192.0.2.1', 9))"  # sends nothing
    )
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}], check=True)"
    traces = home.parent / "trace"
    line = traced(strace(), traces, [sys.executable, "-c", code])
    subprocess.run(line, cwd=home, env=environment(home), check=True, timeout=60)
    trace = read_trace(traces)
    assert {Path(path).name for path in strangers(trace)} == {"made", "moved", "file"}
    assert trace.called == {"192.0.2.1"}
