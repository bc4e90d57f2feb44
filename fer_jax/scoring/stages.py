"""The parts of the scoring pipeline: a detector and a network."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

import numpy as np

from fer_jax.faces.detect import Detector
from fer_jax.media.decoder import Decoder


class Recognition(Protocol):
    """The required parts of a Predictor's result: arrays with a row per face."""

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
    """The parts of the scoring pipeline.

    Attributes:
        detector: called by all threads that decode.
        recognise: uint8 [N, 48, 48] faces -> their expressions; called by a single thread.
        batch_size: faces recognised together.
        max_pixels: of an image, at most.
        images: also keep a small image of each face.
        rotate: look at images in all four turns.
        threads: for decoding and detection; 0 means one per core.
        decoders: lends each of them a decoder; None starts new ones, which end with the pipeline.
    """

    detector: Detector
    recognise: Callable[[np.ndarray], Recognition]
    batch_size: int
    max_pixels: int
    images: bool = False
    rotate: bool = False
    threads: int = 0
    decoders: Callable[[], AbstractContextManager[Decoder]] | None = None

    def decoder(self) -> AbstractContextManager[Decoder]:
        """Returns a decoder for one thread."""
        return Decoder(max_pixels=self.max_pixels) if self.decoders is None else self.decoders()
