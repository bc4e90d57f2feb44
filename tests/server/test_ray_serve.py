"""Scoring on a real Ray Serve: the same responses as the live server, also when processes die."""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import io
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import cv2
import numpy as np
import psutil
import pytest
from PIL import Image

from server.settings import Limits
from tests.server.live_server import Answer, LiveServer, ask_at, settings_of
from tests.server.load import Load
from tests.server.test_main import ROOT
from tests.server.upload_samples import FORM, JPEG, form, photo_jpeg, saved

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        importlib.util.find_spec("starlette") is None or importlib.util.find_spec("ray") is None,
        reason='needs Ray Serve: pip install "fer_jax[ray]"',
    ),
]

PATH = "/api/score"
MOST_TRIES = 3
LOOPBACK = {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


class Sample(NamedTuple):
    """A request and the live server's response."""

    status: int
    body: bytes
    headers: Mapping[str, str] = JPEG
    path: str = PATH
    method: str = "POST"


def many_pixels() -> bytes:
    file = io.BytesIO()
    Image.new("1", (5001, 5001)).save(file, "PNG")
    return file.getvalue()


def samples() -> dict[str, Sample]:
    nobody = cv2.imencode(".png", np.full((48, 64, 3), 90, np.uint8))[1].tobytes()
    photo = photo_jpeg()
    return {
        "one face": Sample(200, photo),
        "no face": Sample(200, nobody, {"Content-Type": "application/octet-stream"}),
        "several": Sample(200, form(photo, nobody, photo), FORM),
        "marked": Sample(200, photo, path=f"{PATH}?annotate=1"),
        "marked several": Sample(400, form(photo, photo), FORM, f"{PATH}?annotate=1"),
        "no flag": Sample(400, photo, path=f"{PATH}?annotate=2"),
        "cut": Sample(422, photo[:20_000]),
        "second bad": Sample(422, form(nobody, b"no image"), FORM),
        "empty": Sample(422, b""),
        "too large": Sample(413, b"\xff" * (8 * 2**20 + 1)),
        "too many pixels": Sample(413, many_pixels()),
        "too many images": Sample(413, form(*[saved("GIF", size=(2, 2))] * 33), FORM),
        "no format of ours": Sample(415, saved("TIFF")),
        "compressed": Sample(415, photo, {**JPEG, "Content-Encoding": "gzip"}),
        "text": Sample(415, b"x", {"Content-Type": "text/plain"}),
        "broken form": Sample(400, form(nobody)[:-10], FORM),
        "no form": Sample(400, b"x", {"Content-Type": "multipart/form-data"}),
        "no image": Sample(400, form(), FORM),
    }


def ask(port: int, sample: Sample) -> Answer:
    return ask_at(port, sample.method, sample.path, body=sample.body, headers=sample.headers)


def assert_alike(found: Any, expected: Any) -> None:
    """Compares two JSON values; batches of other sizes may round differently."""
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        for key, value in expected.items():
            assert_alike(found[key], value)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_alike(one, other)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, abs=2e-4)
    else:
        assert found == expected


class Served(NamedTuple):
    """The application's first process and its address."""

    process: psutil.Process
    port: int

    def processes(self, name: str) -> list[psutil.Process]:
        """The processes of a deployment, by their Ray names."""
        found = []
        for child in self.process.children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if f"ServeReplica:fer_jax:{name}" in " ".join(child.cmdline()):
                    found.append(child)
        return found


@pytest.fixture(scope="module")
def expected(checkpoint: str) -> dict[str, Answer]:
    """The live server's responses."""
    settings = settings_of(checkpoint, "browser", limits=Limits(request_deadline_s=30.0))
    with LiveServer(settings) as server:
        server.wait_ready()
        return {name: ask(server.port, sample) for name, sample in samples().items()}


@pytest.fixture(scope="module")
def served(checkpoint: str, expected: dict[str, Answer]) -> Iterator[Served]:
    """The documented command, with two replicas; it must end whatever it starts."""
    del expected  # started before: the machine may have two cores
    command = [sys.executable, "-m", "server.ray_serve", "--port", "0", "--deadline-s", "30"]
    command += ["--checkpoint", checkpoint]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        owner = psutil.Process(process.pid)
        children: list[psutil.Process] = []
        try:
            assert process.stdout is not None
            said = []
            for line in process.stdout:  # Ray may also print something
                said.append(line)
                port = re.search(r"http://127\.0\.0\.1:(\d+)/api/score$", line.strip())
                if port:
                    break
            else:
                pytest.fail(f"it printed {said}")
            yield Served(owner, int(port[1]))
            children = owner.children(recursive=True)
            process.terminate()
            assert process.wait(60) == 0
            _, alive = psutil.wait_procs(children, timeout=30)
            assert not alive, f"they outlived it: {alive}"
        finally:
            with contextlib.suppress(psutil.Error):
                children += owner.children(recursive=True)
            process.kill()
            for child in children:
                with contextlib.suppress(psutil.Error):
                    child.kill()


class Programs(Load):
    """Programs that score a photograph and retry failures."""

    def __init__(self, port: int, *, threads: int = 4) -> None:
        super().__init__(visitors=threads)
        self.answers: list[Answer] = []
        self.failures: list[str] = []
        self.given_up = 0
        self._port = port

    def ask(self, visitor: int) -> None:
        del visitor  # all alike
        for _ in range(MOST_TRIES):
            try:
                answer = ask(self._port, Sample(200, photo_jpeg()))
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
                continue
            if answer.status == 200:
                self.answers.append(answer)
                return
            self.failures.append(f"{answer.status} {answer.body[:200]!r}")
        self.given_up += 1


def wait_for_others(served: Served, name: str, *, than: set[int]) -> None:
    """Returns once two processes of a deployment run, neither of them in `than`."""
    until = time.monotonic() + 120
    while len({child.pid for child in served.processes(name)} - than) < 2:
        assert time.monotonic() < until, f"{name} was not replaced"
        time.sleep(0.2)


@pytest.mark.timeout(900)
def test_ray_serve_answers_as_the_live_server_does(
    served: Served, expected: dict[str, Answer]
) -> None:
    for name, sample in samples().items():
        found, other = ask(served.port, sample), expected[name]
        assert other.status == sample.status, name
        assert found.status == other.status, (name, found)
        kinds = [one.headers["content-type"].partition(";")[0] for one in (found, other)]
        assert kinds[0] == kinds[1], name
        if kinds[0] == "application/json":
            assert_alike(found.json, other.json)
        else:
            shapes = [cv2.imdecode(np.frombuffer(one.body, np.uint8), -1) for one in (found, other)]
            assert np.abs(shapes[0].astype(int) - shapes[1]).mean() < 1


@pytest.mark.timeout(900)
def test_other_addresses_and_methods_are_refused_in_the_same_form(served: Served) -> None:
    lost = ask(served.port, Sample(404, b"", path="/api/cameras"))
    assert (lost.status, lost.code) == (404, "not_found")
    got = ask_at(served.port, "GET", PATH)
    assert (got.status, got.code, got.headers["allow"]) == (405, "method_not_allowed", "POST")


@pytest.mark.timeout(900)
def test_only_replicas_listen_beyond_loopback_and_they_ask_for_the_runs_token(
    served: Served,
) -> None:
    import grpc  # of Ray Serve

    replicas = {child.pid for name in ("Scorer", "Front") for child in served.processes(name)}
    beyond: list[int] = []
    for child in served.process.children(recursive=True):
        with contextlib.suppress(psutil.Error):
            for connection in child.net_connections("inet"):
                if connection.status != psutil.CONN_LISTEN or connection.laddr.ip in LOOPBACK:
                    continue
                assert child.pid in replicas, child
                beyond.append(connection.laddr.port)
    assert len(beyond) == len(replicas)
    for port in beyond:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            call = channel.unary_unary("/ray.serve.ASGIService/HandleRequest")
            with pytest.raises(grpc.RpcError) as refusal:
                call(b"", timeout=60)
        assert refusal.value.code() == grpc.StatusCode.UNAUTHENTICATED  # type: ignore[attr-defined]


@pytest.mark.timeout(900)
def test_no_request_is_lost_when_a_replica_or_a_front_dies(
    served: Served, expected: dict[str, Answer]
) -> None:
    scorers = served.processes("Scorer")
    assert len(scorers) == 2
    decoders = scorers[0].children(recursive=True)
    assert decoders
    with Programs(served.port) as load:
        load.wait(12)
        scorers[0].kill()
        load.wait(24)
        # The front has sent requests in progress to the other replica.
        assert load.failures == []
        _, alive = psutil.wait_procs(decoders, timeout=30)
        assert not alive, "a decoder outlived its replica"
        wait_for_others(served, "Scorer", than={scorers[0].pid})
        load.wait(12)
        fronts = served.processes("Front")
        assert len(fronts) == 2
        fronts[0].kill()
        load.wait(24)
    assert load.given_up == 0, load.failures
    assert len(load.failures) <= 2 * 4  # those in progress in the front
    for answer in load.answers:
        assert_alike(answer.json, expected["one face"].json)
