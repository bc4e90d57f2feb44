"""A replica: one network, a few threads, and decoder processes that may die of an image.

Faces of all images in progress in a replica are classified together, by Ray Serve's batching.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from fer_jax.errors import FerError
from fer_jax.expressions import NUM_EXPRESSIONS
from fer_jax.faces.detect import DETECT_SIZE
from fer_jax.machine.confinement import leave_no_core_dumps
from server.access.load_shedding import LoadShedding
from server.api.refusals import refusal_of
from server.api.scored import ScoredImage
from server.api.uploads import Upload
from server.live.batcher import DeadlinePassed
from server.serving.options import Serving

MAX_BATCH = 32
_PACE = 0.6  # of the deadline: an estimate errs, and recognition needs its share


class Refused(NamedTuple):
    """Why an image has no answer: what `ApiError` takes, in a form that passes between processes."""

    status: int
    code: str
    message: str
    headers: Mapping[str, str]


class Scorer:
    """Scores images that `Front` sends; Ray Serve starts it in separate processes."""

    async def __init__(  # pyright: ignore[reportGeneralTypeIssues] - Ray Serve awaits it
        self, serving: Serving
    ) -> None:
        """Loads and compiles the network and starts threads and decoders.

        Raises:
            FerError: the network is not that of the application.
        """
        leave_no_core_dumps()  # decoders inherit that
        os.environ["NPROC"] = str(serving.cores)  # XLA reads it once, at the first use of JAX
        from ray import serve

        from fer_jax.inference.predictor import Predictor
        from server.api.images import ImageScorer
        from server.live.detection_threads import DetectionThreads

        predictor = await asyncio.to_thread(Predictor.load, serving.checkpoint, max_batch=MAX_BATCH)
        if serving.digest not in ("", predictor.saved.digest):
            raise FerError("a node has another network under this name; copy it to all of them")
        await asyncio.to_thread(predictor.wait)
        threads = DetectionThreads(
            detect_size=DETECT_SIZE, threads=serving.cores, decodes=serving.limits.image_pixels
        )
        await threads.warm_up()
        device = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="device")

        def probabilities(crops: Sequence[np.ndarray]) -> list[np.ndarray]:
            return list(predictor(np.stack(crops)).probabilities)

        # Nothing waits while the network is idle; what comes while it is busy makes the next batch.
        @serve.batch(max_batch_size=MAX_BATCH, batch_wait_timeout_s=0.0)
        async def recognised(crops: list[np.ndarray]) -> list[np.ndarray]:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(device, probabilities, crops)

        self._recognised = recognised
        self._images = ImageScorer(
            threads=threads,
            shedding=LoadShedding(
                most_s=_PACE * serving.limits.request_deadline_s, threads=serving.cores
            ),
            recognise=self._recognise,
            uncertain_below=predictor.uncertain_below,
            jpeg_quality=serving.jpeg_quality,
        )

    async def score(
        self, name: str, data: bytes, *, seconds: float, drawn: bool
    ) -> ScoredImage | Refused:
        """Scores an image.

        Args:
            name: for people.
            data: the file.
            seconds: within which the answer is of use.
            drawn: also mark the faces in the image.
        """
        deadline_s = time.monotonic() + seconds
        try:
            return await self._images.score(Upload(name, data), deadline_s=deadline_s, drawn=drawn)
        except Exception as error:
            refusal = refusal_of(error)
            if refusal is None:
                raise
            return Refused(refusal.status, refusal.code, refusal.message, refusal.headers)

    async def _recognise(self, crops: Sequence[np.ndarray], *, deadline_s: float) -> np.ndarray:
        if not crops:
            return np.empty((0, NUM_EXPRESSIONS), np.float32)
        try:
            async with asyncio.timeout(deadline_s - time.monotonic()):
                return np.stack(await asyncio.gather(*map(self._recognised, crops)))
        except TimeoutError:
            raise DeadlinePassed from None
