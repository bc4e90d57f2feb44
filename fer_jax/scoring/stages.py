"""What the pipeline puts together: a detector and a network."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Protocol

import numpy as np

from fer_jax.faces.detect import Detector


class Recognition(Protocol):
    """What is needed of a Predictor's answer: arrays with a row for each face."""

    @property
    def probabilities(self) -> np.ndarray:
        """Float32 [N, 7]."""
        ...

    @property
    def confidence(self) -> np.ndarray:
        """Float32 [N]."""
        ...

    @property
    def uncertain(self) -> np.ndarray:
        """Bool [N]."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stages:
    """What the pipeline puts together.

    Attributes:
        detector: called by all threads that decode.
        recognise: uint8 [N, 48, 48] faces -> their expressions; called by one thread only.
        batch_size: faces that are recognised together.
        max_pixels: the most that an image may have.
        images: also keep a small image of each face.
        threads: that decode and detect; 0 takes one per core.
    """

    detector: Detector
    recognise: Callable[[np.ndarray], Recognition]
    batch_size: int
    max_pixels: int
    images: bool = False
    threads: int = 0
