"""What the server tells its operators."""

from __future__ import annotations

import re

from tests.server.live_server import LiveServer


def test_the_server_says_when_it_is_well_and_ready(live: LiveServer):
    assert live.get("/healthz").json == {"status": "ok"}
    assert live.get("/readyz").json == {"status": "ready"}


def test_the_figures_tell_of_requests_and_refusals_without_what_strangers_make_up(live: LiveServer):
    live.ask("PROPFIND", "/coffee")
    text = live.get("/metrics").body.decode()
    assert re.search(r'fer_rejections_total\{reason="not_found"\} [1-9]', text)
    assert 'route="/api/cameras"' in text
    assert 'method="other",route="unknown",status="404"' in text.replace(", ", ",")
    assert "coffee" not in text
    assert "PROPFIND" not in text
