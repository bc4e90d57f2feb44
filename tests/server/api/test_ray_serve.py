"""A replica of the Ray Serve application, called without its cluster, beside the live server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from server.settings import Limits
from tests.faces.sample_media import PHOTO
from tests.server.upload_samples import FORM, form

if TYPE_CHECKING:
    from tests.server.live_server import LiveServer

PHOTOGRAPH = PHOTO.read_bytes()
KIND = FORM["Content-Type"]


def request(body: bytes, kind: str, *, method: str = "POST", token: str = "") -> Any:
    from starlette.requests import Request

    headers = [(b"content-type", kind.encode()), (b"authorization", f"Bearer {token}".encode())]
    scope = {"type": "http", "method": method, "path": "/api/score", "headers": headers}
    chunks = [body[at : at + 50_000] for at in range(0, len(body), 50_000)] or [b""]

    async def receive() -> dict[str, Any]:
        chunk = chunks.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(chunks)}

    return Request({**scope, "query_string": b"", "root_path": "", "server": ("x", 80)}, receive)


async def test_a_replica_answers_as_the_live_server_does(
    live: LiveServer, checkpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve = pytest.importorskip("ray.serve", reason='needs Ray: pip install "fer_jax[ray]"')
    assert serve
    from server.ray_serve import Scoring

    replica = Scoring(checkpoint, Limits())
    for body, kind in (
        (PHOTOGRAPH, "image/jpeg"),
        (form(PHOTOGRAPH, PHOTOGRAPH), KIND),
        (PHOTOGRAPH[:9000], "image/jpeg"),
        (b"", "image/png"),
        (b"hello", "text/plain"),
        (b"hello", KIND),
    ):
        answer = await replica(request(body, kind))
        expected = live.ask("POST", "/api/score", body=body, headers={"Content-Type": kind})
        assert answer.status_code == expected.status
        assert json.loads(answer.body) == expected.json
    assert (await replica(request(b"", "image/png", method="GET"))).status_code == 404
    monkeypatch.setenv("FER_TOKEN", "secret")
    guarded = Scoring(checkpoint, Limits())
    assert (await guarded(request(b"", "image/png", token="guess"))).status_code == 401
    assert (await guarded(request(PHOTOGRAPH, "image/jpeg", token="secret"))).status_code == 200
    for each in (replica, guarded):
        await each._pool.close()
