"""`POST /api/score` as a Ray Serve application: replicas, dynamic batches, requests and answers alike.

    serve run server.ray_serve:app replicas=2 checkpoint=crowd

Ray's proxy has no visitors, sessions or cameras. If $FER_TOKEN is set for the replicas, every
request needs it as a bearer token. Without it keep the proxy's port to yourself.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import time
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from aiohttp import StreamReader, hdrs
from aiohttp.base_protocol import BaseProtocol
from multidict import CIMultiDict
from ray import serve
from ray.serve import Application
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from fer_jax.expressions import NUM_EXPRESSIONS
from fer_jax.faces.detect import DETECT_SIZE
from server.access.refusal import ApiError
from server.api.bodies import collect
from server.api.errors import refusal_of
from server.api.score import answer_json, image_json, is_uncertain, look
from server.api.uploads import Upload, uploads
from server.live.detection_threads import DetectionThreads
from server.settings import Limits

_MAX_BATCH = 32
_WAIT_S = 0.002  # for faces of other requests, while the device is idle
_THREADS = 2  # that decode and detect, of each replica
_ONGOING = 32  # requests of a replica; Ray keeps others waiting, or gives them to another


class Scoring:
    """One replica: a network, a few threads and their decoder processes."""

    def __init__(self, checkpoint: str | None, limits: Limits) -> None:
        """Loads the network and compiles it."""
        from fer_jax.inference.predictor import Predictor

        self._limits = limits
        self._predictor = Predictor.load(checkpoint, max_batch=_MAX_BATCH)
        self._predictor.wait()
        self._pool = DetectionThreads(
            detect_size=DETECT_SIZE, threads=_THREADS, decodes=limits.image_pixels
        )
        self._token = os.environ.get("FER_TOKEN", "")

    async def __call__(self, request: Request) -> Response:
        """Answers a request as the live server answers `POST /api/score`."""
        try:
            self._check(request)
            body = await collect(
                request.stream(), most=self._most(), seconds=_seconds(self._limits)
            )
            received = _as_aiohttp(request, body)
            images = [await self._image(one) async for one in uploads(received, self._limits)]
        except Exception as error:
            refusal = refusal_of(error)
            if refusal is None:
                raise
            said = {"error": {"code": refusal.code, "message": refusal.message}}
            return JSONResponse(said, status_code=refusal.status, headers=refusal.headers)
        return JSONResponse(answer_json(images))

    @serve.batch(max_batch_size=_MAX_BATCH, batch_wait_timeout_s=_WAIT_S)
    async def recognise(self, crops: list[np.ndarray]) -> list[np.ndarray]:
        """Recognises the faces of several images, uint8 [N, 48, 48] each, together."""
        together = np.concatenate(crops)
        found = np.empty((0, NUM_EXPRESSIONS), np.float32)
        if len(together):
            found = (await asyncio.to_thread(self._predictor, together)).probabilities
        return np.split(found, np.cumsum([len(one) for one in crops])[:-1])

    def check_health(self) -> None:
        """Called by Ray: a replica that raises is replaced."""
        if not self._predictor.bucket_sizes:
            raise RuntimeError("the network is not compiled")

    async def _image(self, upload: Upload) -> dict[str, Any]:
        deadline_s = time.monotonic() + _seconds(self._limits)
        pool = self._pool
        image, found = await pool.run(look, pool, upload, deadline_s, keep=False)
        crops = np.stack(found.crops) if len(found.crops) else np.empty((0, 48, 48), np.uint8)
        probabilities = await self.recognise(crops)  # pyright: ignore[reportCallIssue,reportArgumentType]
        threshold = self._predictor.uncertain_below
        uncertain = is_uncertain(found, probabilities, threshold=threshold)
        return image_json(upload.name, image, found, probabilities, uncertain)

    def _check(self, request: Request) -> None:
        if request.method != "POST" or request.url.path.rstrip("/") != "/api/score":
            raise ApiError(404, "not_found", "expected POST /api/score")
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self._token and not hmac.compare_digest(given.encode(), self._token.encode()):
            raise ApiError(401, "unauthorized", "expected Authorization: Bearer with the token")

    def _most(self) -> int:
        return self._limits.images_per_request * self._limits.image_bytes


def app(args: dict[str, str]) -> Application:
    """Returns the application that `serve run` deploys.

    Args:
        args: `replicas`, their number, 2 by default; `checkpoint`, as `Predictor.load` takes it; `gpu`,
            1 for a GPU each.
    """
    options = {"num_gpus": 1} if args.get("gpu") == "1" else {"num_cpus": 1}
    deployment = serve.deployment(
        name="fer_jax",
        num_replicas=int(args.get("replicas", "2")),
        max_ongoing_requests=_ONGOING,
        ray_actor_options=options,
    )(Scoring)
    return deployment.bind(args.get("checkpoint"), Limits())


def _seconds(limits: Limits) -> float:
    return limits.form_upload_s


def _as_aiohttp(request: Request, body: bytes) -> Any:
    """Returns what `uploads` reads of a request."""
    loop = asyncio.get_running_loop()
    content = StreamReader(BaseProtocol(loop), 2**16, loop=loop)
    content.feed_data(body)
    content.feed_eof()
    headers = CIMultiDict(request.headers.items())
    kind = headers.get(hdrs.CONTENT_TYPE, "application/octet-stream").partition(";")[0].strip()
    return cast(
        Any,
        SimpleNamespace(
            headers=headers, content=content, content_type=kind.lower(), content_length=len(body)
        ),
    )
