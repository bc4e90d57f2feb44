"""The application's arguments, as numbers or text, and what it refuses."""

from __future__ import annotations

import socket

import pytest

from fer_jax import command
from fer_jax.errors import FerError
from server import ray_serve
from server.serving import application
from server.serving.options import from_arguments

TOKEN = "correct-horse-battery"


def test_arguments_may_be_numbers_or_text():
    text = {"replicas": "4", "cores": "2", "deadline_s": "2.5", "checkpoint": "fer2013"}
    numbers = {"replicas": 4, "cores": 2, "deadline_s": 2.5, "checkpoint": "fer2013"}
    serving = from_arguments(text, environment={"FER_TOKEN": TOKEN})
    assert serving == from_arguments(numbers, environment={"FER_TOKEN": TOKEN})
    assert (serving.replicas, serving.cores, serving.token) == (4, 2, TOKEN)
    assert serving.limits.request_deadline_s == 2.5
    assert TOKEN not in repr(serving)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"replica": 2}, "expected one of checkpoint"),
        ({"replicas": 0}, "replicas=0: expected a number, 1 or more"),
        ({"cores": "two"}, "cores=two"),
        ({"deadline_s": "nan"}, "deadline_s=nan"),
        ({"deadline_s": "inf"}, "deadline_s=inf"),
        ({"deadline_s": None}, "deadline_s=None"),
    ],
)
def test_unusable_arguments_are_refused(arguments: dict[str, object], said: str):
    with pytest.raises(FerError, match=said):
        from_arguments(arguments, environment={})


def test_mistakes_in_the_command_give_one_line_each(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("FER_TOKEN", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for line, said in (
            (["--port", "x"], "from 0 to 65535"),
            (["--replicas", "0"], "1 or more"),
            (["--deadline-s", "nan"], "deadline_s"),
            (["--host", "0.0.0.0"], "give a token"),
            (["--port", port], "cannot listen"),
        ):
            assert command.run(ray_serve.main, line) == 2
            told = capfd.readouterr().err
            assert said in told or "Ray Serve is missing" in told
            assert len(told.splitlines()) == 1
    monkeypatch.setattr(application, "_NEEDED", ("no_such_module",))
    assert command.run(ray_serve.main, []) == 2
    assert 'pip install "fer_jax[ray]"' in capfd.readouterr().err
