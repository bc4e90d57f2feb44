"""The application on Ray Serve: a few fronts, and the requested number of replicas."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
from typing import TYPE_CHECKING

from fer_jax.errors import FerError
from server.serving.options import Serving

if TYPE_CHECKING:
    from ray.serve import Application

_NEEDED = ("ray", "starlette", "uvicorn", "fastapi")  # what Ray Serve imports
_FRONTS = 2  # one may die
_REPLICAS_OF_A_FRONT = 16
_FRONT_REQUESTS = 1024  # at a time; `Limits.uploads` of them have images
_ONGOING = 32  # images in a replica, so that faces of several make a batch
_QUEUED = 64  # images that wait for a replica at each front; more: 503
_HEALTH_S = 2.0
_LAST_ANSWERS_S = 10.0


def application(serving: Serving) -> Application:
    """Returns the application.

    Raises:
        FerError: Ray Serve is not installed, or there is no such network.
    """
    require_ray_serve()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no report to Ray's makers
    from ray import serve

    from fer_jax.saved_model import load_model
    from server.serving.front import Front
    from server.serving.scorer import Scorer

    checkpoint = serving.checkpoint
    if checkpoint is not None and os.path.exists(checkpoint):
        checkpoint = os.path.abspath(checkpoint)  # replicas have another working directory
    serving = dataclasses.replace(
        serving, checkpoint=checkpoint, digest=load_model(checkpoint).digest
    )
    scorer = serve.deployment(
        num_replicas=serving.replicas,
        ray_actor_options={"num_cpus": serving.cores},
        max_ongoing_requests=_ONGOING,
        max_queued_requests=_QUEUED,
        health_check_period_s=_HEALTH_S,
        graceful_shutdown_timeout_s=_LAST_ANSWERS_S,
    )(Scorer)
    front = serve.deployment(
        num_replicas=max(_FRONTS, serving.replicas // _REPLICAS_OF_A_FRONT),
        ray_actor_options={"num_cpus": 0},
        max_ongoing_requests=_FRONT_REQUESTS,
        health_check_period_s=_HEALTH_S,
        graceful_shutdown_timeout_s=_LAST_ANSWERS_S,
    )(Front)
    return front.bind(scorer.bind(serving), serving)


def require_ray_serve() -> None:
    """Raises FerError where Ray Serve is not installed."""
    if any(importlib.util.find_spec(name) is None for name in _NEEDED):
        raise FerError('Ray Serve is missing; pip install "fer_jax[ray]" installs it')
