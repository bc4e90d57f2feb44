from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

import cv2
import numpy as np
import pytest

from fer_jax.expressions import EXPRESSIONS
from server.live.explainer import SIDE, Explainer
from tests.server.live_server import Answer, LiveServer, events

WHY = "/api/cameras/demo/why?track={}"


@pytest.fixture
def paused(live: LiveServer) -> Iterator[dict[str, Any]]:
    """A face of the demo camera, which is paused and has a listener."""
    with contextlib.closing(events(live, "/api/events?camera=demo")) as listener:
        until = time.monotonic() + 60
        seen = (data for event, data in listener if event == "analysis" and data["faces"])
        for _ in range(4):  # an earlier one, two in progress, and a current one
            next(seen)
        try:
            live.post_json("/api/cameras/demo", {"paused": True})
            face = last_face(live)
            while (
                live.get(WHY.format(face["track"])).status != 200
            ):  # the last frame is in progress
                assert time.monotonic() < until
                face = last_face(live)
            yield face
        finally:
            live.post_json("/api/cameras/demo", {"paused": False, "privacy": "none"})


def last_face(live: LiveServer) -> dict[str, Any]:
    with contextlib.closing(events(live, "/api/events?camera=demo")) as replayed:
        (face,) = next(data for event, data in replayed if event == "analysis")["faces"]
        return face


def is_coloured(answer: Answer) -> bool:
    assert (answer.status, answer.headers["content-type"]) == (200, "image/jpeg")
    image = cv2.imdecode(np.frombuffer(answer.body, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert image.shape == (SIDE, SIDE, 3)
    return int(np.ptp(image, axis=2).max()) > 60


def test_a_paused_face_has_a_heatmap_for_its_label_and_for_any_other(live, paused):
    path = WHY.format(paused["track"])
    own = live.get(path)
    assert own.headers["x-expression"] == paused["expression"]
    answers = {name: live.get(f"{path}&expression={name}") for name in EXPRESSIONS}
    for name, answer in answers.items():
        assert answer.headers["x-expression"] == name
        assert is_coloured(answer) == (answer.headers["x-evidence"] == "some")
    assert answers[paused["expression"]].body == own.body
    assert len({answer.body for answer in answers.values()}) > 1


@pytest.mark.parametrize(
    "query",
    [
        "",
        "track=",
        "track=0",
        "track=-1",
        "track=1.0",
        "track=one",
        "track=1234567890",
        "track=1&track=1",
        "track=1&expression=",
        "track=1&expression=calm",
        "track=1&expression=sad&expression=sad",
    ],
)
def test_an_invalid_question_is_refused(live: LiveServer, query: str):
    refused = live.get(f"/api/cameras/demo/why?{query}")
    assert (refused.status, refused.code) == (400, "bad_value")


def test_a_running_camera_or_a_missing_face_is_not_explained(live, paused):
    assert live.get("/api/cameras/nobody/why?track=1").code == "unknown_camera"
    missing = live.get(WHY.format(paused["track"] + 1))
    assert (missing.status, missing.code) == (404, "unknown_face")
    live.post_json("/api/cameras/demo", {"paused": False})
    running = live.get(WHY.format(paused["track"]))
    assert (running.status, running.code) == (409, "not_paused")


@pytest.mark.parametrize("privacy", ["pixelate", "no_picture"])
def test_a_hidden_face_is_forgotten(live, paused, privacy: str):
    live.post_json("/api/cameras/demo", {"privacy": privacy})
    hidden = live.get(WHY.format(paused["track"]))
    assert (hidden.status, hidden.code) == (409, "private")
    live.post_json("/api/cameras/demo", {"privacy": "none"})
    assert live.get(WHY.format(paused["track"])).code == "unknown_face"


def test_while_a_face_is_explained_the_server_keeps_running_and_new_privacy_holds(
    live, paused, monkeypatch: pytest.MonkeyPatch
):
    begun, go = threading.Event(), threading.Event()
    draw = Explainer.draw

    def held(self: Explainer, crop: np.ndarray, *, expression: str) -> Any:
        begun.set()
        assert go.wait(60)
        return draw(self, crop, expression=expression)

    monkeypatch.setattr(Explainer, "draw", held)
    path = WHY.format(paused["track"])
    most = live.settings.limits.explanations_per_address
    with ThreadPoolExecutor(most + 1) as visitors:
        try:
            asked = [visitors.submit(live.get, path) for _ in range(most + 1)]
            assert begun.wait(60)
            first = next(as_completed(asked, timeout=60)).result()
            assert (first.status, first.code) == (429, "overloaded")
            assert live.get("/snapshot/browser.jpg").status == 200
            live.post_json("/api/cameras/demo", {"privacy": "pixelate"})
        finally:
            go.set()
        codes = [answer.result().code for answer in asked]
    assert sorted(codes) == ["overloaded", *["private"] * most]
