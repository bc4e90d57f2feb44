"""Typed keys under which handlers find the live parts in the aiohttp application."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from fer_jax.inference.predictor import Predictor
from server.cameras.camera import Camera
from server.live.batcher import Batcher
from server.live.broadcast import Kind
from server.live.camera_pipeline import CameraPipeline
from server.live.detection_threads import DetectionThreads
from server.live.explainer import Explainer
from server.live.kept_privacy import KeptPrivacy
from server.live.lifecycle import Lifecycle
from server.live.metrics import Metrics
from server.live.multipart import PartBytes

LIFECYCLE = web.AppKey("lifecycle", Lifecycle)
METRICS = web.AppKey("metrics", Metrics)
PREDICTOR = web.AppKey("predictor", Predictor)
BATCHER = web.AppKey("batcher", Batcher)
EXPLAINER = web.AppKey("explainer", Explainer)
DETECTION_THREADS = web.AppKey("detection_threads", DetectionThreads)
UPLOAD_THREADS = web.AppKey("upload_threads", DetectionThreads)
KEPT_PRIVACY = web.AppKey("kept_privacy", KeptPrivacy)
CAMERAS: web.AppKey[Mapping[str, Camera]] = web.AppKey("cameras", Mapping)
PARTS: web.AppKey[Mapping[tuple[str, Kind, bool], PartBytes]] = web.AppKey("parts", Mapping)
PIPELINES: web.AppKey[Mapping[str, CameraPipeline]] = web.AppKey("pipelines", Mapping)
