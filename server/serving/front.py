"""The HTTP side on Ray Serve: POST /api/score, answered as `python -m server` answers it.

It checks a request, reads its images one by one and has a replica score each. It holds no network: an
image whose replica dies is sent to another one from here, and the visitor does not notice.
"""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aiohttp import hdrs

from server.access.admission import Admission, Client
from server.access.attempts import Attempts
from server.access.authorization import bearer, role_of, unauthorized
from server.access.refusal import ApiError
from server.access.security import HEADERS
from server.access.tokens import Tokens
from server.api.query import flag
from server.api.refusals import defect, refusal_of
from server.api.scored import ScoredImage, scored_images, scores_json
from server.api.uploads import Upload
from server.live.batcher import DeadlinePassed
from server.serving.options import BODY_BYTES, Serving
from server.serving.requests import ServeRequest
from server.serving.scorer import Refused

if TYPE_CHECKING:
    from ray.serve.handle import DeploymentHandle
    from starlette.requests import Request
    from starlette.responses import Response

PATH = "/api/score"

_TRIES = 2  # an image that kills its replica would kill them all, one after the other
_HEADERS = {name: value for name, value in HEADERS.items() if name != "Server"}  # uvicorn sends it

_LOG = logging.getLogger(__name__)


class Front:
    """Answers requests; Ray Serve calls it for each."""

    def __init__(self, scorer: DeploymentHandle[Any], serving: Serving) -> None:
        """Takes the replicas' handle and the application's settings."""
        self._scorer, self._limits = scorer, serving.limits
        self._admission = Admission(
            "requests with images",
            most=serving.limits.uploads,
            most_per_address=serving.limits.uploads,
            status=429,
            code="overloaded",
        )
        self._tokens = Tokens(operator=serving.token)
        self._attempts = Attempts(serving.limits.login_attempts_per_minute)

    async def __call__(self, request: Request) -> Response:
        """Answers a request; every error is JSON, as `server.access.refusal` makes it."""
        try:
            return await self._answer(request)
        except Exception as error:  # noqa: BLE001 - answered, and logged where it is a defect
            refusal = refusal_of(error)
            if refusal is None:
                _LOG.exception("a request failed")
                refusal = defect()
            return _response(refusal.body, status=refusal.status, headers=refusal.headers)

    async def _answer(self, request: Request) -> Response:
        address = request.client.host if request.client else ""
        self._authorize(request.headers, address)
        if request.url.path != PATH:
            message = f"there is nothing at this address; POST {PATH} scores images"
            raise ApiError(404, "not_found", message)
        if request.method != "POST":
            message = f"{request.method[:20]} is not supported here; allowed: POST"
            raise ApiError(405, "method_not_allowed", message, headers={"Allow": "POST"})
        drawn = flag(request.query_params, "annotate")
        # A proxy in front of Ray Serve has one address for all visitors.
        with self._admission.admit(Client(address, shared=True)):
            sent = ServeRequest(request, most_bytes=BODY_BYTES)
            async with sent.arriving():
                score = functools.partial(self._score, drawn=drawn)
                scored = await scored_images(sent, self._limits, score, drawn=drawn)
        if drawn:
            return _response(scored[0].marked, kind="image/jpeg")
        return _response(json.dumps(scores_json(scored)).encode())

    def _authorize(self, headers: Mapping[str, str], address: str) -> None:
        if not self._tokens.required:
            return
        given = bearer(headers)
        if given is None:
            raise unauthorized("this server requires a token: send Authorization: Bearer TOKEN")
        role_of(given, tokens=self._tokens, attempts=self._attempts, address=address)

    async def _score(self, upload: Upload, *, drawn: bool) -> ScoredImage:
        """Has an image scored, by another replica if the first one dies.

        Raises:
            ApiError: the image is refused, or no replica can take it.
            DeadlinePassed: it took too long.
        """
        from ray.exceptions import RayActorError
        from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

        deadline_s = time.monotonic() + self._limits.request_deadline_s
        for _ in range(_TRIES):
            try:
                answer = await self._asked(upload, deadline_s=deadline_s, drawn=drawn)
            except RayActorError as error:
                _LOG.warning("a replica died while it scored an image: %s", error)
                continue
            except (BackPressureError, DeploymentUnavailableError):
                message = "no replica can take the image; try again later"
                raise ApiError(503, "unavailable", message, retry_after_s=1) from None
            if isinstance(answer, Refused):
                status, code, message, headers = answer
                raise ApiError(status, code, message, headers=headers)
            return answer
        message = "the replicas that scored the image died; try again later"
        raise ApiError(503, "unavailable", message, retry_after_s=1)

    async def _asked(
        self, upload: Upload, *, deadline_s: float, drawn: bool
    ) -> ScoredImage | Refused:
        seconds = deadline_s - time.monotonic()
        if seconds <= 0:
            raise DeadlinePassed
        answer = self._scorer.score.remote(upload.name, upload.data, seconds=seconds, drawn=drawn)
        try:
            async with asyncio.timeout(seconds):
                return await answer
        except TimeoutError:
            answer.cancel()
            raise DeadlinePassed from None


def _response(
    body: bytes,
    *,
    status: int = 200,
    kind: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> Response:
    from starlette.responses import Response

    named = {**_HEADERS, **(headers or {}), hdrs.CONTENT_TYPE: kind}
    return Response(body, status_code=status, headers=named)
