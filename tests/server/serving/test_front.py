"""The HTTP side without a cluster: responses when replicas die, refuse or are slow."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from server.api.scored import ScoredImage
from server.serving.front import Front
from server.serving.options import BODY_BYTES, Serving
from server.serving.scorer import Refused

pytest.importorskip("starlette", reason='needs Ray Serve: pip install "fer_jax[ray]"')
pytest.importorskip("ray.serve", reason='needs Ray Serve: pip install "fer_jax[ray]"')

Reply = Callable[[], Awaitable[Any]]


class Handle:
    """A handle with replicas that give a test's replies, one after the other."""

    def __init__(self, *replies: Reply) -> None:
        self.cancelled, self.asked, self.score = 0, 0, self
        self._replies = list(replies)

    def remote(self, name: str, data: bytes, *, seconds: float, drawn: bool) -> Answering:
        del name, data, seconds, drawn
        self.asked += 1
        return Answering(self, self._replies.pop(0))


class Answering:
    """The result of `remote`."""

    def __init__(self, handle: Handle, reply: Reply) -> None:
        self._handle, self._reply = handle, reply

    def __await__(self) -> Any:
        return self._reply().__await__()

    def cancel(self) -> None:
        self._handle.cancelled += 1


async def scored() -> ScoredImage:
    return ScoredImage({"name": "image", "width": 1, "height": 1, "faces": []})


async def refused() -> Refused:
    return Refused(429, "overloaded", "too many", {"Retry-After": "2"})


async def dies() -> None:
    from ray.exceptions import ActorDiedError

    raise ActorDiedError


async def is_unreachable() -> None:
    from ray.exceptions import ActorUnavailableError

    raise ActorUnavailableError("away", None)


async def is_full() -> None:
    from ray.serve.exceptions import BackPressureError

    raise BackPressureError(64, 64)


async def fails() -> None:
    raise OSError("a defect")


async def never() -> None:
    await asyncio.Event().wait()


async def ask(
    *replies: Reply,
    body: bytes = b"image",
    serving: Serving | None = None,
    whole: bool = True,
    **headers: str,
) -> tuple[Any, Handle]:
    """The response to one request, and the handle it came from."""
    from starlette.requests import Request

    named = {"content-type": "image/jpeg", **headers}
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/score",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in named.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
    }
    messages = [{"type": "http.request", "body": body, "more_body": not whole}]

    async def receive() -> dict[str, Any]:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    handle = Handle(*replies)
    front = Front(handle, serving or Serving())  # type: ignore[arg-type]
    return await front(Request(scope, receive)), handle


def code(response: Any) -> str:
    return json.loads(response.body)["error"]["code"]


@pytest.mark.parametrize("end", [dies, is_unreachable])
async def test_an_image_whose_replica_dies_is_scored_by_another(end: Reply):
    response, handle = await ask(end, scored)
    assert (response.status_code, handle.asked) == (200, 2)


async def test_an_image_that_kills_two_replicas_gets_no_third():
    response, handle = await ask(dies, dies, scored)
    assert (response.status_code, code(response), handle.asked) == (503, "unavailable", 2)
    assert response.headers["retry-after"] == "1"


async def test_full_queues_give_503():
    response, _ = await ask(is_full)
    assert (response.status_code, code(response)) == (503, "unavailable")
    assert response.headers["x-content-type-options"] == "nosniff"


async def test_a_replicas_refusal_is_passed_on_with_its_headers():
    response, _ = await ask(refused)
    assert (response.status_code, code(response)) == (429, "overloaded")
    assert response.headers["retry-after"] == "2"


async def test_a_replica_that_does_not_answer_times_out():
    usual = Serving()
    limits = dataclasses.replace(usual.limits, request_deadline_s=0.05)
    response, handle = await ask(never, serving=dataclasses.replace(usual, limits=limits))
    assert (response.status_code, code(response)) == (504, "deadline_passed")
    assert handle.cancelled == 1


async def test_an_internal_error_reveals_nothing(caplog: pytest.LogCaptureFixture):
    response, _ = await ask(fails)
    assert (response.status_code, code(response)) == (500, "internal_error")
    assert b"defect" not in response.body
    assert "a defect" in caplog.text


async def test_a_body_that_is_too_large_or_ends_early_is_refused_before_it_is_scored():
    length = {"content-length": str(BODY_BYTES + 1), "content-type": "multipart/form-data"}
    response, _ = await ask(**length)
    assert (response.status_code, code(response)) == (413, "too_large")
    response, _ = await ask(body=b"x" * (8 * 2**20 + 1))
    assert (response.status_code, code(response)) == (413, "too_large")
    response, _ = await ask(whole=False)
    assert (response.status_code, code(response)) == (400, "bad_request")


async def test_a_token_is_required_where_one_is_set():
    serving = Serving(token="correct-horse-battery")
    for given in ({}, {"authorization": "Bearer wrong-horse-battery"}):
        response, handle = await ask(serving=serving, **given)
        assert (response.status_code, code(response), handle.asked) == (401, "unauthorized", 0)
    right = {"authorization": f"Bearer {serving.token}"}
    response, _ = await ask(scored, serving=serving, **right)
    assert response.status_code == 200


def test_the_front_and_the_first_process_hold_no_network():
    names = "server.ray_serve, server.serving.front"
    loaded = "{'jax', 'ray', 'onnxruntime'} & set(sys.modules)"
    line = [sys.executable, "-c", f"import sys, {names}; print({loaded})"]
    done = subprocess.run(line, check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "set()"
