"""The server's metrics for Prometheus: counts and seconds, no pixels, no addresses, no camera URLs.

Cameras are identified by the names from the command line. Events are reported through the method named
after them; gauges (queue, cameras, viewers) are read at each scrape.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Literal

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Histogram

from server.live.analysis import Analysis
from server.live.batcher import BatchReport
from server.live.readings import CameraReading, Readings

CONTENT_TYPE = prometheus_client.CONTENT_TYPE_LATEST

DropReason = Literal["late", "error"]

_STAGE_S = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.033, 0.066, 0.133, 0.25, 0.5, 1.0)
_AGE_S = (0.005, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.12, 0.2, 0.5, 1.0, 2.0)
_LAG_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
_REQUEST_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_ROWS = (1, 2, 4, 8, 16, 32, 64)
_LOOP_INTERVAL_S = 0.25


class Metrics:
    """All metrics of one server, in their own registry; methods may be called by any thread."""

    def __init__(self) -> None:
        """Starts at zero."""
        self.registry = CollectorRegistry()
        self._readings = Readings()
        self._make_frame_metrics()
        self._make_request_metrics()
        prometheus_client.ProcessCollector(registry=self.registry)
        prometheus_client.GCCollector(registry=self.registry)
        self.registry.register(self._readings)

    def _make_frame_metrics(self) -> None:
        registry = self.registry
        self._stages = Histogram(
            "fer_stage_seconds",
            "Seconds a frame spent in a stage.",
            ("camera", "stage"),
            buckets=_STAGE_S,
            registry=registry,
        )
        self._analyzed = Counter(
            "fer_frames_analyzed", "Frames analysed.", ("camera",), registry=registry
        )
        self._encoded = Counter(
            "fer_frames_encoded",
            "Images encoded, once each for all viewers.",
            ("camera",),
            registry=registry,
        )
        self._faces = Counter("fer_faces", "Faces analysed.", ("camera",), registry=registry)
        self._dropped = Counter(
            "fer_frames_dropped",
            "Frames taken and not shown, by reason.",
            ("camera", "reason"),
            registry=registry,
        )
        self._age = Histogram(
            "fer_frame_age_seconds",
            "Age of a frame when it was handed to a viewer's socket.",
            ("camera",),
            buckets=_AGE_S,
            registry=registry,
        )
        self._skipped = Counter(
            "fer_frames_skipped",
            "Frames skipped by viewers that were too slow.",
            ("camera",),
            registry=registry,
        )

    def _make_request_metrics(self) -> None:
        registry = self.registry
        self._batch_rows = Histogram(
            "fer_batch_rows", "Faces in a batch.", buckets=_ROWS, registry=registry
        )
        self._batch_seconds = Histogram(
            "fer_batch_seconds",
            "Seconds a batch took on the device.",
            buckets=_STAGE_S,
            registry=registry,
        )
        self._rejected = Counter(
            "fer_rejections", "Requests refused, by reason.", ("reason",), registry=registry
        )
        self._requests = Histogram(
            "fer_http_request_seconds",
            "Seconds until a request was answered; streams are left out.",
            ("route", "method", "status"),
            buckets=_REQUEST_S,
            registry=registry,
        )
        self._lag = Histogram(
            "fer_loop_lag_seconds",
            "How late the event loop woke up.",
            buckets=_LAG_S,
            registry=registry,
        )

    def frame_analyzed(self, analysis: Analysis) -> None:
        """Counts a frame that passed all its stages."""
        camera = analysis.camera
        for stage, seconds in analysis.stages.items():
            self._stages.labels(camera, stage).observe(seconds)
        self._analyzed.labels(camera).inc()
        self._faces.labels(camera).inc(len(analysis.faces))

    def frame_encoded(self, camera: str) -> None:
        """Counts an encoded image."""
        self._encoded.labels(camera).inc()

    def frame_dropped(self, camera: str, reason: DropReason) -> None:
        """Counts a frame that was taken but not shown."""
        self._dropped.labels(camera, reason).inc()

    def frame_sent(self, camera: str, *, age_s: float, skipped: int = 0) -> None:
        """Records a frame sent to a viewer at that age, and the `skipped` ones since its last."""
        self._age.labels(camera).observe(age_s)
        if skipped:
            self._skipped.labels(camera).inc(skipped)

    def batch_done(self, report: BatchReport) -> None:
        """Records a batch finished by the device."""
        self._batch_rows.observe(report.rows)
        self._batch_seconds.observe(report.seconds)

    def rejected(self, reason: str) -> None:
        """Counts a refused request; `reason` is an error's stable code."""
        self._rejected.labels(reason).inc()

    def request_done(self, *, route: str, method: str, status: int, seconds: float) -> None:
        """Records an answered request; `route` is its pattern, such as "/api/cameras/{camera}"."""
        self._requests.labels(route, method, str(status)).observe(seconds)

    def loop_lagged(self, seconds: float) -> None:
        """Records how late the event loop woke up."""
        self._lag.observe(seconds)

    def watch_camera(self, name: str, state: Callable[[], CameraReading]) -> None:
        """Reads a camera's state at each scrape."""
        self._readings.cameras[name] = state

    def watch_viewers(self, name: str, kind: str, count: Callable[[], int]) -> None:
        """Reads a camera's number of viewers at each scrape; `kind` is "images" or "results"."""
        self._readings.viewers[name, kind] = count

    def watch_device(
        self,
        *,
        queued: Callable[[], int],
        recompiles: Callable[[], int],
        padding: Callable[[], int],
    ) -> None:
        """Reads the batcher and the predictor at each scrape."""
        self._readings.queued, self._readings.recompiles = queued, recompiles
        self._readings.padding = padding

    def exposition(self) -> bytes:
        """Returns all metrics in Prometheus' text format, of `CONTENT_TYPE`."""
        return prometheus_client.generate_latest(self.registry)

    async def watch_loop(self) -> None:
        """Measures how late the event loop wakes up, until cancelled."""
        while True:
            due_s = time.monotonic() + _LOOP_INTERVAL_S
            await asyncio.sleep(_LOOP_INTERVAL_S)
            self.loop_lagged(max(0.0, time.monotonic() - due_s))
