"""POST /api/score: returns the expressions of faces in photographs, as JSON or drawn in the image.

Cameras come first: uploads have their own threads, at a lower priority, and take turns in the batcher.
"""

from __future__ import annotations

import functools
import time

from aiohttp import web

from server.access.keys import LOAD_SHEDDING, SETTINGS, UPLOADS
from server.access.visitors import client
from server.api.images import ImageScorer
from server.api.query import flag
from server.api.scored import ScoredImage, scored_images, scores_json
from server.api.uploads import Upload
from server.live.keys import BATCHER, PREDICTOR, UPLOAD_THREADS


async def score(request: web.Request) -> web.Response:
    """Scores the images of a request; `?annotate=1` returns the one image with its faces marked."""
    app, drawn = request.app, flag(request.query, "annotate")
    limits, asking = app[SETTINGS].limits, client(request)
    scorer = ImageScorer(
        threads=app[UPLOAD_THREADS],
        shedding=app[LOAD_SHEDDING],
        recognise=functools.partial(app[BATCHER].predict, client=f"upload {asking.name}"),
        uncertain_below=app[PREDICTOR].uncertain_below,
        jpeg_quality=app[SETTINGS].jpeg_quality,
    )

    async def one(upload: Upload) -> ScoredImage:
        deadline_s = time.monotonic() + limits.request_deadline_s
        return await scorer.score(upload, deadline_s=deadline_s, drawn=drawn)

    with app[UPLOADS].admit(asking):
        app[LOAD_SHEDDING].check()
        scored = await scored_images(request, limits, one, drawn=drawn)
    if drawn:
        return web.Response(body=scored[0].marked, content_type="image/jpeg")
    return web.json_response(scores_json(scored))
