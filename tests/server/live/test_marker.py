from __future__ import annotations

import numpy as np
import pytest

from server.live.controls import Controls
from tests.server.live.stage import Stage

pytestmark = pytest.mark.timeout(60)


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
