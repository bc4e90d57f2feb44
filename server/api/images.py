"""Scores one uploaded image: decodes it, finds its faces, recognises them and marks them.

Strangers' images are decoded by a process that may die of them; see `DetectionThreads.decoder`.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from fer_jax.expressions import EXPRESSIONS
from fer_jax.faces.annotate import FaceLabel, annotate
from fer_jax.media.encoding import jpeg
from server.access.load_shedding import LoadShedding
from server.access.refusal import ApiError
from server.api.results import box_json, probabilities_json
from server.api.scored import ScoredImage
from server.api.uploads import Upload, decoded
from server.live.batcher import DeadlinePassed
from server.live.detection_threads import DetectionThreads, Found


class Recognise(Protocol):
    """Recognises the faces of an image."""

    async def __call__(self, crops: Sequence[np.ndarray], *, deadline_s: float) -> np.ndarray:
        """Returns float32 [N, 7] for N crops, uint8 [48, 48], or raises DeadlinePassed."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ImageScorer:
    """Scores images.

    Attributes:
        threads: decode images, find faces and draw.
        shedding: refuses images that would wait too long for a thread.
        recognise: recognises the faces of an image.
        uncertain_below: confidence below which a face is uncertain.
        jpeg_quality: of marked images.
    """

    threads: DetectionThreads
    shedding: LoadShedding
    recognise: Recognise
    uncertain_below: float
    jpeg_quality: int

    async def score(self, upload: Upload, *, deadline_s: float, drawn: bool) -> ScoredImage:
        """Scores an image.

        Args:
            upload: the image.
            deadline_s: when the answer becomes useless, in monotonic seconds.
            drawn: also mark the faces in the image.

        Raises:
            ApiError: 413, 415 or 422, the image is refused; 504, decoding it took too long.
            QueueFull: too many images are waiting already.
            DeadlinePassed: it took too long.
        """
        pool = self.threads
        with self.shedding.work():
            image, found = await pool.run(_decode_and_find, pool, upload, deadline_s, keep=drawn)
        probabilities = await self.recognise(found.crops, deadline_s=deadline_s)
        uncertain = _is_uncertain(found, probabilities, threshold=self.uncertain_below)
        about = _image_json(upload.name, image, found, probabilities, uncertain)
        if not drawn:
            return ScoredImage(about)
        marked = await pool.run(
            _draw, image.pixels, found, probabilities, uncertain, self.jpeg_quality
        )
        return ScoredImage(about, marked)


class _Image(NamedTuple):
    """An uploaded image: its size, and its pixels if it will be drawn on."""

    width: int
    height: int
    pixels: np.ndarray


_NO_PIXELS = np.empty((0, 0, 3), np.uint8)


def _is_uncertain(found: Found, probabilities: np.ndarray, *, threshold: float) -> np.ndarray:
    """Returns which faces are uncertain, bool [N]: too little confidence, or not readable."""
    unreadable = np.array([quality != "ok" for quality in found.qualities], bool)
    return unreadable | (probabilities.max(axis=1, initial=0) < threshold)


def _decode_and_find(
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
    """Returns the JSON description of one image."""
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
