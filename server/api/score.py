"""POST /api/score: returns the expressions of faces in photographs, as JSON or drawn in the image.

Cameras come first: uploads have their own threads, at a lower priority, and take turns in the batcher.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np
from aiohttp import web

from fer_jax.expressions import EXPRESSIONS
from fer_jax.faces.annotate import FaceLabel, annotate
from fer_jax.media.encoding import jpeg
from server.access.keys import LOAD_SHEDDING, SETTINGS, UPLOADS
from server.access.refusal import ApiError
from server.access.visitors import client
from server.api.query import flag
from server.api.results import box_json, probabilities_json
from server.api.uploads import Upload, decoded, uploads
from server.live.batcher import DeadlinePassed
from server.live.detection_threads import DetectionThreads, Found
from server.live.keys import BATCHER, PREDICTOR, UPLOAD_THREADS


class _Image(NamedTuple):
    """An uploaded image: its size, and its pixels if it will be drawn on."""

    width: int
    height: int
    pixels: np.ndarray


_NO_PIXELS = np.empty((0, 0, 3), np.uint8)


async def score(request: web.Request) -> web.Response:
    """Scores the images of a request; `?annotate=1` returns the one image with its faces marked."""
    drawn = flag(request, "annotate")
    limits, asking = request.app[SETTINGS].limits, client(request)
    images: list[dict[str, Any]] = []
    annotated = b""
    with request.app[UPLOADS].admit(asking):
        request.app[LOAD_SHEDDING].check()
        async for upload in uploads(request, limits):
            if drawn and images:
                raise ApiError(400, "one_image_only", "annotate=1 takes one image")
            deadline_s = time.monotonic() + limits.request_deadline_s
            pool = request.app[UPLOAD_THREADS]
            with request.app[LOAD_SHEDDING].work():
                image, found = await pool.run(_look, pool, upload, deadline_s, keep=drawn)
            probabilities = await request.app[BATCHER].predict(
                found.crops, client=f"upload {asking.name}", deadline_s=deadline_s
            )
            threshold = request.app[PREDICTOR].uncertain_below
            uncertain = _is_uncertain(found, probabilities, threshold=threshold)
            if drawn:
                quality = request.app[SETTINGS].jpeg_quality
                annotated = await pool.run(
                    _draw, image.pixels, found, probabilities, uncertain, quality
                )
            images.append(_image_json(upload.name, image, found, probabilities, uncertain))
    if drawn:
        return web.Response(body=annotated, content_type="image/jpeg")
    return web.json_response({"images": images, "labels": EXPRESSIONS})


def _is_uncertain(found: Found, probabilities: np.ndarray, *, threshold: float) -> np.ndarray:
    """Returns which faces are uncertain, bool [N]: too little confidence, or not readable."""
    unreadable = np.array([quality != "ok" for quality in found.qualities], bool)
    return unreadable | (probabilities.max(axis=1, initial=0) < threshold)


def _look(
    pool: DetectionThreads, upload: Upload, deadline_s: float, *, keep: bool
) -> tuple[_Image, Found]:
    """Decodes an image and finds its faces; in a thread of the pool."""
    decoder = pool.decoder()
    # It may have waited long for a thread, or the image before it killed the decoder.
    ready = decoder.wait_ready(deadline_s - time.monotonic())
    left_s = deadline_s - time.monotonic()
    if not ready or left_s <= 0:
        raise DeadlinePassed
    with decoded(upload, decoder, seconds=left_s) as pixels:
        found = pool.find_now(pixels)
        height, width = pixels.shape[:2]
        return _Image(width, height, pixels.copy() if keep else _NO_PIXELS), found


def _draw(
    image: np.ndarray,
    found: Found,
    probabilities: np.ndarray,
    uncertain: np.ndarray,
    quality: int,
) -> bytes:
    labels = [
        FaceLabel(
            box=_box(found, n),
            probabilities=row,
            uncertain=bool(uncertain[n]),
            quality=found.qualities[n],
        )
        for n, row in enumerate(probabilities)
    ]
    try:
        return jpeg(annotate(image, labels), quality=quality)
    except ValueError as error:
        raise ApiError(422, "bad_image", str(error)) from None


def _image_json(
    name: str,
    image: _Image,
    found: Found,
    probabilities: np.ndarray,
    uncertain: np.ndarray,
) -> dict[str, Any]:
    """Returns what is said of one image."""
    faces = [
        {
            "box": box_json(_box(found, n)),
            "detection_score": round(found.detections[n].score, 4),
            "expression": EXPRESSIONS[int(row.argmax())],
            "confidence": round(float(row.max()), 4),
            "uncertain": bool(uncertain[n]),
            "quality": found.qualities[n],
            "probabilities": probabilities_json(row),
        }
        for n, row in enumerate(probabilities)
    ]
    return {"name": name, "width": image.width, "height": image.height, "faces": faces}


def _box(found: Found, n: int) -> tuple[float, float, float, float]:
    face = found.detections[n]
    return face.x, face.y, face.width, face.height
