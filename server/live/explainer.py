"""Draws why a face got its label: the Grad-CAM map over the face, in warm colours."""

from __future__ import annotations

import dataclasses
import threading

import cv2
import numpy as np

from fer_jax.inference.predictor import Predictor
from fer_jax.saved_model import SavedModel

SIDE = 192  # pixels of the image


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Drawn:
    """A drawn explanation.

    Attributes:
        image: uint8 [SIDE, SIDE, 3] RGB.
        evidence: whether any area supports the expression; without it nothing is warm.
    """

    image: np.ndarray
    evidence: bool


class Explainer:
    """Explains one face at a time, for any thread; compiles what it needs on first use."""

    def __init__(self, saved: SavedModel) -> None:
        """Does not use the checkpoint yet."""
        self._saved = saved
        self._one_at_a_time = threading.Lock()
        self._predictor: Predictor | None = None

    def draw(self, crop: np.ndarray, *, expression: str) -> Drawn:
        """Returns which areas of a face, uint8 [48, 48] grey, support an expression.

        Blocks; the first call takes seconds.
        """
        # imports Matplotlib: not for every start
        from fer_jax.inference.explanation_figure import overlay

        with self._one_at_a_time:
            if self._predictor is None:
                # The cameras' predictor would compile this for each of its batch sizes and delay them.
                self._predictor = Predictor(self._saved, max_batch=1)
            (values,) = self._predictor.explain(crop[None], expression=expression).maps
        face = np.asarray(cv2.resize(crop, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC), np.uint8)
        return Drawn(image=overlay(face, values), evidence=bool(values.any()))
