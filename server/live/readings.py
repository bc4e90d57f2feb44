"""Metrics that are not counted but read at each scrape."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol, get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from server.cameras.camera import Status

CAMERA_STATUSES: tuple[str, ...] = get_args(Status)


class CameraReading(Protocol):
    """The parts of a camera's state that are read."""

    @property
    def status(self) -> str:
        """One of `CAMERA_STATUSES`."""
        ...

    @property
    def fps(self) -> float:
        """Frames per second, measured."""
        ...

    @property
    def frames(self) -> int:
        """Frames captured since the start."""
        ...

    @property
    def drops(self) -> int:
        """How many of them were overwritten before the pipeline took them."""
        ...

    @property
    def reconnects(self) -> int:
        """Reconnects since the start."""
        ...


class Readings(Collector):
    """Reads cameras, viewers, the batcher and the predictor."""

    def __init__(self) -> None:
        """Starts with nothing to read."""
        self.cameras: dict[str, Callable[[], CameraReading]] = {}
        self.viewers: dict[tuple[str, str], Callable[[], int]] = {}
        self.queued: Callable[[], int] = lambda: 0
        self.recompiles: Callable[[], int] = lambda: 0
        self.padding: Callable[[], int] = lambda: 0

    def collect(self) -> Iterator[Metric]:
        """Yields all readings; called by the registry."""
        yield GaugeMetricFamily(
            "fer_queue_depth", "Faces waiting for the device.", value=self.queued()
        )
        yield CounterMetricFamily(
            "fer_recompiles",
            "Programs compiled after the start; stays 0.",
            value=self.recompiles(),
        )
        yield CounterMetricFamily(
            "fer_batch_padding_rows", "Empty rows that filled batches up.", value=self.padding()
        )
        viewers = GaugeMetricFamily("fer_viewers", "Number of viewers.", labels=("camera", "kind"))
        for (camera, kind), count in self.viewers.items():
            viewers.add_metric((camera, kind), count())
        yield viewers
        yield from self._camera_readings()

    def _camera_readings(self) -> Iterator[Metric]:
        status = GaugeMetricFamily(
            "fer_camera_status", "1 for the camera's current status.", labels=("camera", "status")
        )
        fps = GaugeMetricFamily("fer_camera_fps", "Frames a second.", labels=("camera",))
        frames = CounterMetricFamily("fer_frames_captured", "Captured.", labels=("camera",))
        replaced = CounterMetricFamily(
            "fer_frames_replaced", "Overwritten by a newer one before use.", labels=("camera",)
        )
        reconnects = CounterMetricFamily("fer_camera_reconnects", "Reconnects.", labels=("camera",))
        for name, read in self.cameras.items():
            state = read()
            for known in CAMERA_STATUSES:
                status.add_metric((name, known), float(known == state.status))
            fps.add_metric((name,), state.fps)
            frames.add_metric((name,), state.frames)
            replaced.add_metric((name,), state.drops)
            reconnects.add_metric((name,), state.reconnects)
        yield from (status, fps, frames, replaced, reconnects)
