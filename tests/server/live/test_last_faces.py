from __future__ import annotations

import numpy as np
import pytest

from server.live.controls import Controls, Privacy
from tests.server.live.stage import Stage

pytestmark = pytest.mark.timeout(60)


async def test_the_faces_of_a_frame_are_kept_until_the_next_frame_or_until_all_viewers_have_left(
    stage: Stage, photo: np.ndarray
) -> None:
    pipeline = stage.pipeline
    with pipeline.images.subscribe() as images, pipeline.results.subscribe() as results:
        stage.camera.show(photo)
        (face,) = (await anext(results)).faces
        kept = pipeline.faces.find(face.track)
        assert kept is not None
        assert kept.expression == face.expression
        assert (kept.crop.shape, kept.crop.base) == ((48, 48), None)  # no view keeps the frame
        images.close()
        assert pipeline.faces.find(face.track) is kept
    assert pipeline.faces.find(face.track) is None
    with pipeline.results.subscribe(replay=False) as results:
        stage.camera.show(photo)
        await anext(results)
        assert pipeline.faces.find(face.track) is not None
        stage.camera.show(np.zeros_like(photo))
        await anext(results)
        assert pipeline.faces.find(face.track) is None


@pytest.mark.parametrize("privacy", ["pixelate", "no_picture"])
async def test_a_hidden_face_is_not_kept(stage: Stage, photo: np.ndarray, privacy: Privacy) -> None:
    stage.pipeline.set_controls(Controls(privacy=privacy))
    with stage.pipeline.results.subscribe() as results:
        stage.camera.show(photo)
        (face,) = (await anext(results)).faces
        stage.pipeline.set_controls(Controls())
        assert stage.pipeline.faces.find(face.track) is None
