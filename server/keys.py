"""Where handlers find the server's parts: typed keys of the aiohttp application."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from fer_jax.predict import Predictor
from server.api.parts import PartBytes
from server.batcher import Batcher
from server.cameras.base import Camera
from server.detect_pool import DetectPool
from server.doors import Doors
from server.explainer import Explainer
from server.lifecycle import Lifecycle
from server.metrics import Metrics
from server.pipeline import Pipeline
from server.settings import Settings
from server.sockets import StuckSockets
from server.tokens import Attempts, Tokens
from server.upload_pace import UploadPace

SETTINGS = web.AppKey("settings", Settings)
LIFECYCLE = web.AppKey("lifecycle", Lifecycle)
METRICS = web.AppKey("metrics", Metrics)
TOKENS = web.AppKey("tokens", Tokens)
ATTEMPTS = web.AppKey("attempts", Attempts)

PREDICTOR = web.AppKey("predictor", Predictor)
BATCHER = web.AppKey("batcher", Batcher)
EXPLAINER = web.AppKey("explainer", Explainer)
DETECT_POOL = web.AppKey("detect_pool", DetectPool)
UPLOAD_POOL = web.AppKey("upload_pool", DetectPool)
CAMERAS: web.AppKey[Mapping[str, Camera]] = web.AppKey("cameras", Mapping)
PARTS: web.AppKey[Mapping[tuple[str, bool], PartBytes]] = web.AppKey("parts", Mapping)
PIPELINES: web.AppKey[Mapping[str, Pipeline]] = web.AppKey("pipelines", Mapping)

STREAMS = web.AppKey("streams", Doors)  # who watches pictures
EVENTS = web.AppKey("events", Doors)  # who listens to results, WebSockets included
UPLOAD_PACE = web.AppKey("upload_pace", UploadPace)
UPLOADS = web.AppKey("uploads", Doors)  # requests with images
EXPLANATIONS = web.AppKey("explanations", Doors)  # who asks why
SOCKETS = web.AppKey("sockets", StuckSockets)
