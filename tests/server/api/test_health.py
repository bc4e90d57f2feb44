"""What the server tells its operators."""

from __future__ import annotations

import re

from tests.server.live_server import LiveServer


def test_the_server_reports_when_it_is_healthy_and_ready(live: LiveServer):
    assert live.get("/healthz").json == {"status": "ok"}
    assert live.get("/readyz").json == {"status": "ready"}


def test_metrics_count_requests_and_refusals_without_labels_made_up_by_strangers(live: LiveServer):
    live.ask("PROPFIND", "/coffee")
    text = live.get("/metrics").body.decode()
    assert re.search(r'fer_rejections_total\{reason="not_found"\} [1-9]', text)
    assert 'route="/api/cameras"' in text
    assert 'method="other",route="unknown",status="404"' in text.replace(", ", ",")
    assert "coffee" not in text
    assert "PROPFIND" not in text
