from __future__ import annotations

import numpy as np
import pytest

from server.cameras.frames import Frame
from server.live import rendering
from server.live.analysis import Analysis
from server.live.controls import Controls
from server.live.marker import Marker
from tests.server.live.stage import Stage
from tests.server.live.test_rendering import face, noise

pytestmark = pytest.mark.timeout(60)


@pytest.mark.parametrize("mirror", [False, True])
def test_current_and_just_lost_faces_are_hidden_before_they_are_marked_in_every_image(
    mirror: bool,
) -> None:
    image, found, gone = noise(), face(120, 90, 60, 72), (20.0, 30.0, 40.0, 48.0)
    analysis = Analysis(
        camera="desk",
        number=1,
        captured_s=0.0,
        wall_s=0.0,
        width=320,
        height=240,
        faces=(found,),
        stages={},
    )
    marked = Marker("desk", jpeg_quality=80, uncertain_below=0.5).draw(
        Frame(number=1, image=image, captured_s=0.0, wall_s=0.0),
        analysis,
        kinds=("annotated", "plain"),
        lost=(gone,),
        controls=Controls(privacy="pixelate", mirror=mirror),
        since_s=0.0,
        record=True,
    )
    hidden = rendering.hide(image, [gone, found.box])
    assert marked.recorded is not None
    for canvas, by_hand in (
        (marked.canvases["plain"], hidden),
        (marked.canvases["annotated"], rendering.draw(hidden, [found], mirror=mirror)),
        (marked.recorded, rendering.draw(hidden, [found])),
    ):
        np.testing.assert_array_equal(canvas, by_hand)


async def test_a_threshold_and_no_smoothing_apply_from_the_next_frame(
    stage: Stage, photo: np.ndarray
) -> None:
    pipeline = stage.pipeline
    with pipeline.results.subscribe() as results:
        for threshold, uncertain in ((0.0, False), (1.0, True)):
            pipeline.set_controls(Controls(threshold=threshold, smoothing_s=0))
            stage.camera.show(photo)
            (face,) = (await anext(results)).faces
            assert face.uncertain is uncertain
            np.testing.assert_array_equal(face.raw, face.probabilities)
