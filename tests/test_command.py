"""How commands end when nobody reads their output, and what they print on request."""

import contextlib
import errno
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import fer_jax
from fer_jax import command
from fer_jax.__main__ import COMMANDS, main
from tests.faces.sample_media import PHOTO

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("flush", [True, False])
def test_a_command_whose_output_nobody_reads_ends_silently(capsys, flush):
    def talk(argv):
        print("one line", flush=flush)
        return 0

    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as output, contextlib.redirect_stdout(output):
        assert command.run(talk, []) == 128 + signal.SIGPIPE
    assert capsys.readouterr().err == ""


def test_any_other_broken_pipe_is_an_ordinary_error():
    def fail(argv):
        raise BrokenPipeError("a helper has gone")

    with pytest.raises(BrokenPipeError, match="a helper has gone"):
        command.run(fail, [])


def test_verbose_shows_the_log_of_this_projects_packages():
    before = logging.getLogger("fer_jax").level
    try:
        assert command.Parser("x").parse_args(["--verbose"]) is not None
        assert logging.getLogger("fer_jax.data.array_records").isEnabledFor(logging.INFO)
    finally:
        for package in ("fer_jax", "server"):
            logging.getLogger(package).setLevel(before)


IMPORTED = {
    "train": "jax._src",
    "evaluate": "jax._src",
    "explain": "jax._src",
    "export": "jax._src",
    "explore": "matplotlib",
    "score": "jax._src",
    "live": "jax._src",
}
ARGUMENTS = {
    "train": ["--config", "seed"],
    "evaluate": ["--data", "nowhere"],
    "explain": [str(PHOTO), "--out", "why"],
    "export": ["--format", "onnx", "--out", "network.onnx"],
    "explore": ["--out", "seen"],
    "score": [str(PHOTO)],
    "live": ["--source", "demo", "--no-browser"],
}


@pytest.mark.parametrize(
    ("program", "imported"),
    [
        *((["fer_jax", name], imported) for name, imported in IMPORTED.items()),
        (["fer_jax", "score"], "cv2"),
        (["fer_jax.score"], "cv2"),
        (["fer_jax.evaluate"], "numpy"),
        (["server"], "cv2"),
    ],
)
def test_ctrl_c_during_the_imports_gives_one_line_and_code_130(tmp_path, program, imported):
    name = program[-1].removeprefix("fer_jax.").replace("server", "live")
    line = [sys.executable, "-X", "importtime", "-m", *program, *ARGUMENTS[name]]
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(temporary)}
    with subprocess.Popen(
        line, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        for said in process.stderr:
            if f"| {imported}" in " ".join(said.split()):
                break
        process.send_signal(signal.SIGINT)
        rest = [said for said in process.stderr if not said.startswith("import time:")]
    assert (process.returncode, rest) == (130, ["interrupted\n"])
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_shows_an_example_of_its_use(capsys, name):
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert f"usage: fer-jax {name}" in said
    assert f"\n  fer-jax {name}" in said.partition("example:")[2]
    for flag in ("--quiet", "--verbose", "--version"):
        assert flag in said


@pytest.mark.parametrize("line", [["--version"], ["score", "--version"], ["live", "--version"]])
def test_the_version_is_that_of_the_package(capsys, line):
    with pytest.raises(SystemExit):
        main(line)
    assert capsys.readouterr().out == f"fer_jax {fer_jax.__version__}\n"


def test_an_unknown_command_is_refused_with_the_known_ones(capsys):
    assert command.run(main, ["scroe"]) == 2
    assert "expected one of score, live" in capsys.readouterr().err


def test_a_command_that_lacks_the_training_packages_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "array_record", None)
    assert command.run(main, ["explore"]) == 2
    assert 'array_record; pip install "fer_jax[train]"' in capsys.readouterr().err


@pytest.mark.parametrize("number", [errno.EACCES, errno.ENAMETOOLONG])
def test_a_name_that_the_system_refuses_gives_one_line(number: int, capsys) -> None:
    def main(argv: object) -> int:
        raise OSError(number, os.strerror(number), "faces")

    assert command.run(main, []) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "faces: " in line
