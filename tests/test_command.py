"""How commands end when nobody reads them any more, and what they say when asked to."""

import contextlib
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fer_jax import command
from tests.faces.sample_media import PHOTO

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("flush", [True, False])
def test_a_command_nobody_reads_ends_silently(capsys, flush):
    def talk(argv):
        print("one line", flush=flush)
        return 0

    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as output, contextlib.redirect_stdout(output):
        assert command.run(talk, []) == 128 + signal.SIGPIPE
    assert capsys.readouterr().err == ""


def test_another_broken_pipe_is_an_error_as_any():
    def fail(argv):
        raise BrokenPipeError("a helper has gone")

    with pytest.raises(BrokenPipeError, match="a helper has gone"):
        command.run(fail, [])


def test_verbose_prints_what_the_libraries_of_this_project_have_to_say():
    before = logging.getLogger("fer_jax").level
    try:
        assert command.Parser(prog="x").parse_args(["--verbose"]) is not None
        assert logging.getLogger("fer_jax.data.array_records").isEnabledFor(logging.INFO)
    finally:
        for package in ("fer_jax", "server"):
            logging.getLogger(package).setLevel(before)


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        *((f"fer_jax.{name}", "numpy") for name in ("train", "evaluate", "explain", "export")),
        ("fer_jax.explore", "matplotlib"),
        ("fer_jax.score", "cv2"),
        ("fer_jax.score", "jax._src"),
        ("server", "cv2"),
        ("server", "jax._src"),
    ],
)
def test_ctrl_c_during_the_imports_is_one_line_and_code_130(tmp_path, module, imported):
    line = [sys.executable, "-X", "importtime", "-m", module, "--source", "demo"]
    if module != "server":
        line[5:] = [str(PHOTO), "--out", str(tmp_path / "faces.csv")]
    with subprocess.Popen(line, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        for said in process.stderr:
            if f"| {imported}" in " ".join(said.split()):
                break
        process.send_signal(signal.SIGINT)
        rest = [said for said in process.stderr if not said.startswith("import time:")]
    assert (process.returncode, rest) == (130, ["interrupted\n"])
