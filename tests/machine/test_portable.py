"""What other systems lack, taken away: simulated, for want of the systems themselves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fer_jax.machine.locking import lock
from fer_jax.scoring.writers import read_rows
from tests.faces.sample_media import PHOTO
from tests.small_checkpoint import write_workdir

# The libraries choose their own code by the platform when they are imported, so they come first.
WITHOUT_LINUX = """
import errno, os, select, signal, sys
import cv2, jax, matplotlib, onnxruntime, orbax.checkpoint, rich.progress, flax.linen
for name in ("fcntl", "resource"):
    sys.modules[name] = None
for module, names in (
    (os, ("sched_getaffinity", "memfd_create")), (select, ("poll",)), (signal, ("SIGPIPE",)),
    (errno, ("EDQUOT",)),
):
    for name in names:
        delattr(module, name)
sys.platform = "darwin"
"""


def test_scoring_runs_without_what_only_linux_has(tmp_path: Path) -> None:
    checkpoint = write_workdir(tmp_path / "run", model__name="seed_cnn")
    out = tmp_path / "faces.csv"
    line = ["score", str(PHOTO), "--out", str(out), "--checkpoint", str(checkpoint)]
    windows_lock = (
        "import types; taken = []; sys.modules['msvcrt'] = types.SimpleNamespace("
        "LK_NBLCK=2, locking=lambda *call: taken.append(call)); "
    )
    code = (
        f"{WITHOUT_LINUX}\n{windows_lock}\nfrom fer_jax.__main__ import main\n"
        f"code = main({line!r})\nassert taken, 'no lock was taken'\nsys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    (row,) = read_rows(out)
    assert row.status == "ok"


def test_a_locked_file_is_refused_to_another_process(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    ask = f"from fer_jax.machine.locking import lock; lock(open({str(path)!r}, 'a+'))"
    with path.open("a+") as file:
        lock(file)
        done = subprocess.run(
            [sys.executable, "-c", ask], check=False, capture_output=True, text=True
        )
        assert "BlockingIOError" in done.stderr
    subprocess.run([sys.executable, "-c", ask], check=True)


def test_the_windows_lock_is_refused_like_the_other(tmp_path: Path, monkeypatch) -> None:
    def taken(*_: object) -> None:
        raise PermissionError("locked")

    class Msvcrt:
        LK_NBLCK = 2
        locking = staticmethod(taken)

    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setitem(sys.modules, "msvcrt", Msvcrt)
    with (tmp_path / "lock").open("a+") as file, pytest.raises(BlockingIOError):
        lock(file)
