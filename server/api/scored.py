"""Answers POST /api/score one image at a time, as they arrive, with any scorer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from fer_jax.expressions import EXPRESSIONS
from server.access.refusal import ApiError
from server.api.bodies import Sent
from server.api.uploads import Upload, uploads
from server.settings import Limits


class ScoredImage(NamedTuple):
    """What was found in one image, as JSON, and the JPEG with its faces marked if requested."""

    about: dict[str, Any]
    marked: bytes = b""


async def scored_images(
    request: Sent,
    limits: Limits,
    score: Callable[[Upload], Awaitable[ScoredImage]],
    *,
    drawn: bool,
) -> list[ScoredImage]:
    """Scores the images of a request's body.

    Args:
        request: with one image, or a form of several.
        limits: of the body.
        score: scores one image.
        drawn: whether the answer is the one image with its faces marked.

    Raises:
        ApiError: a body that is refused, or several images where one is drawn.
    """
    scored: list[ScoredImage] = []
    async for upload in uploads(request, limits):
        if drawn and scored:
            raise ApiError(400, "one_image_only", "annotate=1 takes one image")
        scored.append(await score(upload))
    return scored


def scores_json(scored: Sequence[ScoredImage]) -> dict[str, Any]:
    """Returns the answer, by the schema `Scores`."""
    return {"images": [image.about for image in scored], "labels": EXPRESSIONS}
