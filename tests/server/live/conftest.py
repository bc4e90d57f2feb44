"""One small network and one photograph for all tests that run a camera's pipeline."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import matplotlib
import numpy as np
import pytest

if TYPE_CHECKING:
    from fer_jax import Predictor
    from tests.server.live.stage import Stage

PHOTO = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"


@pytest.fixture(scope="session")
def predictor(checkpoint: str) -> Predictor:
    from fer_jax import Predictor

    predictor = Predictor.load(checkpoint, max_batch=4)
    predictor.wait()
    return predictor


@pytest.fixture(scope="session")
def photo() -> np.ndarray:
    """A person on uint8 [480, 512, 3] pixels, RGB."""
    image = np.asarray(cv2.imread(str(PHOTO), cv2.IMREAD_COLOR_RGB), np.uint8)
    return np.ascontiguousarray(image[:480])


@pytest.fixture
async def stage(predictor: Predictor) -> AsyncIterator[Stage]:
    from tests.server.live.stage import staged

    async with staged(predictor) as running:
        yield running


@pytest.fixture
async def video_stage(predictor: Predictor) -> AsyncIterator[Stage]:
    """The same with an unpaced video, which drops no frame."""
    from tests.server.live.stage import staged

    async with staged(predictor, lossless=True) as running:
        yield running
