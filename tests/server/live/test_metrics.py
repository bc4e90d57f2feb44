from __future__ import annotations

import asyncio
import time

from prometheus_client.parser import text_string_to_metric_families

from server.cameras.camera import CameraState
from server.live.metrics import Metrics
from server.live.readings import CAMERA_STATUSES


def samples(metrics: Metrics) -> dict[tuple[str, tuple[str, ...]], float]:
    """All metrics by name and label values, parsed like Prometheus does."""
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(metrics.exposition().decode())
        for sample in family.samples
    }


def test_watched_values_are_read_at_the_time_of_the_request():
    metrics = Metrics()
    state, queued = CameraState(), 0
    metrics.watch_camera("desk", lambda: state)
    metrics.watch_viewers("desk", "images", lambda: 3)
    metrics.watch_device(queued=lambda: queued, recompiles=lambda: 0, padding=lambda: 4)
    state, queued = CameraState(status="missing", drops=5, reconnects=2, frames=90), 7
    read = samples(metrics)
    assert {status: read["fer_camera_status", ("desk", status)] for status in CAMERA_STATUSES} == {
        status: float(status == "missing") for status in CAMERA_STATUSES
    }
    assert read["fer_camera_reconnects_total", ("desk",)] == 2
    assert read["fer_frames_replaced_total", ("desk",)] == 5
    assert read["fer_frames_captured_total", ("desk",)] == 90
    assert read["fer_viewers", ("desk", "images")] == 3
    assert read["fer_queue_depth", ()] == 7
    assert read["fer_recompiles_total", ()] == 0
    assert read["fer_batch_padding_rows_total", ()] == 4


def test_sent_frames_requests_and_refusals_are_counted():
    metrics = Metrics()
    metrics.frame_sent("desk", age_s=0.03)
    metrics.frame_sent("desk", age_s=0.5, skipped=4)
    metrics.rejected("queue_full")
    metrics.request_done(route="/healthz", method="GET", status=200, seconds=0.001)
    read = samples(metrics)
    assert read["fer_frame_age_seconds_bucket", ("desk", "0.04")] == 1
    assert read["fer_frame_age_seconds_count", ("desk",)] == 2
    assert read["fer_frames_skipped_total", ("desk",)] == 4
    assert read["fer_rejections_total", ("queue_full",)] == 1
    assert read["fer_http_request_seconds_count", ("GET", "/healthz", "200")] == 1


async def test_a_blocked_event_loop_shows_as_lag():
    metrics = Metrics()
    watching = asyncio.create_task(metrics.watch_loop())
    await asyncio.sleep(0.01)
    time.sleep(0.4)  # noqa: ASYNC251 - blocking is what is measured
    await asyncio.sleep(0.01)
    watching.cancel()
    read = samples(metrics)
    assert read["fer_loop_lag_seconds_count", ()] >= 1
    assert read["fer_loop_lag_seconds_sum", ()] > 0.1
