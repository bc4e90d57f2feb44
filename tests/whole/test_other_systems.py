"""Other operating systems, simulated by removing what they lack."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import aiohttp
import pytest

from fer_jax.scoring.writers import read_rows
from tests.faces.sample_media import PHOTO
from tests.server.api.test_browser import receive_until
from tests.small_checkpoint import write_workdir

# Libraries choose code by platform when imported, so they are imported first.
MAC = """
import asyncio, errno, logging.handlers, mmap, os, select, signal, sys, tempfile, types, webbrowser
import aiohttp.web, av, cv2, flax.linen, jax, matplotlib, onnxruntime, orbax.checkpoint
import prometheus_client, rich.progress

def take_away(module, *names):
    for name in names:
        delattr(module, name)

take_away(os, "sched_getaffinity", "memfd_create")
take_away(errno, "EDQUOT")
take_away(mmap, "MADV_REMOVE")
sys.platform = "darwin"
"""
WINDOWS = """
sys.modules["msvcrt"] = types.SimpleNamespace(LK_NBLCK=2, locking=lambda *call: None)
for name in ("fcntl", "resource", "pwd", "grp", "termios", "tty"):
    sys.modules[name] = None
take_away(select, "poll")
take_away(signal, "SIGPIPE", "SIGKILL", "SIGHUP", "SIGUSR1", "SIGALRM", "pthread_sigmask")
take_away(os, "fork", "getuid", "geteuid", "killpg", "setsid", "nice", "setpriority", "set_blocking")
take_away(os, "O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC")

def no_handlers(*_):
    raise NotImplementedError

asyncio.SelectorEventLoop.add_signal_handler = no_handlers
asyncio.SelectorEventLoop.remove_signal_handler = no_handlers
sys.platform = "win32"
"""
USE = """
import importlib, pkgutil
import fer_jax, server
from fer_jax.__main__ import main

for module in pkgutil.walk_packages(server.__path__, "server."):
    importlib.import_module(module.name)
(face,) = fer_jax.Predictor.load(checkpoint).analyze(photo)
assert face.expression
assert main(["score", photo, "--quiet", "--out", out, "--checkpoint", checkpoint]) == 0
sys.exit(main(["live", "--source", "browser", "--port", "0", "--checkpoint", checkpoint]))
"""


@pytest.mark.parametrize("taken", [MAC, MAC + WINDOWS], ids=["macOS", "Windows"])
async def test_python_scoring_and_the_browser_camera_need_nothing_specific_to_linux(
    taken: str, tmp_path: Path
) -> None:
    names = {
        "checkpoint": str(write_workdir(tmp_path / "run", model__name="seed_cnn")),
        "photo": str(PHOTO),
        "out": str(tmp_path / "faces.csv"),
    }
    values = "".join(f"{name} = {value!r}\n" for name, value in names.items())
    line = [sys.executable, "-c", f"{taken}\n{values}{USE}"]
    async with started(line) as url:
        (row,) = read_rows(tmp_path / "faces.csv")
        assert row.status == "ok"
        async with aiohttp.ClientSession() as session, session.ws_connect(f"{url}/ws/camera") as up:
            await up.send_bytes(PHOTO.read_bytes())
            analysis = (await receive_until("analysis", up))[-1]
    assert len(analysis["faces"]) == 1


@contextlib.asynccontextmanager
async def started(line: Sequence[str]) -> AsyncIterator[str]:
    """The address of a server that this command starts; SIGINT ends it."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*line, stdout=pipe, stderr=pipe)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(120):
            first = (await process.stdout.readline()).decode()
        address = re.search(r"http://\S+:\d+", first)
        if address is None:
            pytest.fail((await process.communicate())[1].decode())
        yield address[0]
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(30):
            error = (await process.communicate())[1].decode()
        assert process.returncode == 0, error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
