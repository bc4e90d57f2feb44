"""A camera's repeated image is neither analysed nor encoded again."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.server.live.stage import Stage, next_analysis

pytestmark = pytest.mark.timeout(60)


def batches(stage: Stage) -> float:
    return stage.figure("fer_batch_rows_count")


async def test_a_repeated_image_is_analysed_and_encoded_once_and_still_reported(
    stage: Stage, photo: np.ndarray
) -> None:
    with stage.pipeline.images.subscribe() as images:
        stage.camera.repeat(photo)
        first, _ = await next_analysis(images)
        stage.camera.repeat(photo)
        second, analysis = await next_analysis(images)
        assert (batches(stage), stage.encoded(), stage.analyzed()) == (1, 1, 2)
        assert second.jpeg is first.jpeg
        assert second.number == analysis.number == first.number + 1
        assert [face.track for face in analysis.faces] == [1]
        assert "encode" in analysis.stages


async def test_a_repeated_image_is_drawn_again_when_its_view_changes(
    stage: Stage, photo: np.ndarray
) -> None:
    pipeline = stage.pipeline
    with pipeline.images.subscribe() as images, pipeline.streams["plain"].subscribe() as plain:
        shown = []
        for changes in ({}, {"mirror": True}, {"privacy": "pixelate"}, {"rotate": 90}):
            pipeline.set_controls(dataclasses.replace(pipeline.controls, **changes))
            stage.camera.repeat(photo)
            shown.append((await next_analysis(images))[0].jpeg)
            await next_analysis(plain)
        assert len(set(shown)) == 4
        assert batches(stage) <= 2  # detected again only after it was rotated
    snapshot = stage.encoded()
    with pipeline.images.subscribe() as images:
        stage.camera.repeat(photo)
        assert (await next_analysis(images))[0].jpeg == shown[-1]
    assert stage.encoded() == snapshot
