"""How commands end when nobody reads them any more, and what they say when asked to."""

import contextlib
import logging
import os
import signal
import sys

import pytest

import fer_jax
from fer_jax import command
from fer_jax.__main__ import COMMANDS, main


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
        assert command.Parser("x").parse_args(["--verbose"]) is not None
        assert logging.getLogger("fer_jax.data.array_records").isEnabledFor(logging.INFO)
    finally:
        for package in ("fer_jax", "server"):
            logging.getLogger(package).setLevel(before)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_shows_an_example_of_itself(capsys, name):
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


def test_a_command_that_does_not_exist_is_refused_with_those_that_do(capsys):
    assert command.run(main, ["scroe"]) == 2
    assert "expected one of score, live" in capsys.readouterr().err


def test_a_command_that_lacks_the_training_packages_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "array_record", None)
    assert command.run(main, ["explore"]) == 2
    assert 'array_record; pip install "fer_jax[train]"' in capsys.readouterr().err
