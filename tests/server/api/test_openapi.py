"""Schemathesis sends requests that the OpenAPI document allows, and others."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from server.api.openapi import document
from server.app import make_app
from server.settings import Limits
from tests.server.live_server import LiveServer, settings_of

# They end when the visitor leaves, and have separate tests.
ENDLESS = ["/stream/{camera}.mjpg", "/api/events", "/ws/camera"]
TOKEN = "a token of a test"
CAMERAS = ("demo", "browser")
# A machine busy with other tests responds slowly, which is not tested here.
LIMITS = Limits(request_deadline_s=30.0)


def schema(*, token: bool) -> schemathesis.schemas.BaseSchema:
    return schemathesis.openapi.from_dict(
        json.loads(document(cameras=CAMERAS, limits=LIMITS, token=token))
    )


@pytest.fixture(scope="module")
def fuzzed(checkpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A separate server, because its controls end up with arbitrary values."""
    recordings = tmp_path_factory.mktemp("recordings")
    with LiveServer(settings_of(checkpoint, limits=LIMITS, recordings=recordings)) as server:
        server.wait_ready()
        yield server


@pytest.fixture(scope="module")
def guarded(checkpoint: str) -> Iterator[LiveServer]:
    # Schemathesis tries wrong tokens too, and expects nothing but 401.
    limits = Limits(login_attempts_per_minute=10_000)
    with LiveServer(settings_of(checkpoint, token=TOKEN, limits=limits)) as server:
        yield server


quick = settings(
    max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)


def test_the_server_serves_this_document(fuzzed: LiveServer):
    assert fuzzed.get("/api/openapi.json").json == schema(token=False).raw_schema


@schema(token=False).exclude(path=ENDLESS).parametrize()
@quick
def test_every_operation_conforms_to_the_document(case: schemathesis.Case, fuzzed: LiveServer):
    # Random bytes of an image type are seldom an image.
    excluded = [positive_data_acceptance] if case.path == "/api/score" else []
    url = f"http://127.0.0.1:{fuzzed.port}"
    answer = case.call_and_validate(base_url=url, excluded_checks=excluded, timeout=60)
    assert answer.status_code < 500


@schema(token=True).include(path=["/api/cameras", "/api/cameras/{camera}"]).parametrize()
@quick
def test_every_guarded_operation_conforms_too(case: schemathesis.Case, guarded: LiveServer):
    headers = {"Authorization": f"Bearer {TOKEN}"}
    url = f"http://127.0.0.1:{guarded.port}"
    answer = case.call_and_validate(base_url=url, headers=headers, timeout=60)
    assert answer.status_code not in (401, 403, 500)


def test_the_openapi_document_lists_every_path_and_no_other(live: LiveServer):
    paths = live.get("/api/openapi.json").json["paths"]
    told = {(path, method.upper()) for path, methods in paths.items() for method in methods}
    there = {
        (route.resource.canonical, route.method)
        for route in make_app(live.settings).router.routes()
        if route.method != "HEAD"
    }
    assert told == there
