"""Draws why a face is labelled as it is: Grad-CAM's map over the face, in warm colours."""

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
    """An explanation to look at.

    Attributes:
        image: uint8 [SIDE, SIDE, 3] RGB.
        evidence: whether anything in the face speaks for the expression; without it nothing is warm.
    """

    image: np.ndarray
    evidence: bool


class Explainer:
    """Explains one face at a time, whichever threads ask; compiles what it needs when first asked."""

    def __init__(self, saved: SavedModel) -> None:
        """Does nothing yet with the checkpoint."""
        self._saved = saved
        self._one_at_a_time = threading.Lock()
        self._predictor: Predictor | None = None

    def draw(self, crop: np.ndarray, *, expression: str) -> Drawn:
        """Returns what of a face, uint8 [48, 48] grey, speaks for an expression.

        Blocks, the first time for seconds.
        """
        from fer_jax.inference.explanation_figure import (
            overlay,
        )  # brings Matplotlib's figures: not for every start

        with self._one_at_a_time:
            if self._predictor is None:
                # The cameras' own would compile this for each of its batch sizes, at their expense.
                self._predictor = Predictor(self._saved, max_batch=1)
            (values,) = self._predictor.explain(crop[None], expression=expression).maps
        face = np.asarray(cv2.resize(crop, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC), np.uint8)
        return Drawn(image=overlay(face, values), evidence=bool(values.any()))
