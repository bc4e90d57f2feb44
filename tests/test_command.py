"""How commands end when nobody reads them any more, and what they say when asked to."""

import contextlib
import logging
import os
import signal

import pytest

from fer_jax import command


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
