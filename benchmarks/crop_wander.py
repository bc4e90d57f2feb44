"""How much a crop moves when only the detector's view of the photograph changes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from fer_jax.data.randomness import host_generator
from fer_jax.faces.crop import Align, square_of
from fer_jax.faces.detect import Detector

ALIGNS: tuple[Align, ...] = ("landmarks", "box")

_LOOKS = 12  # at each photograph


def wander(
    photos: Sequence[np.ndarray], detector: Detector, *, seed: int = 0
) -> dict[str, dict[str, float]]:
    """Returns how much crops of the same face differ between shifted, smaller views of the photographs.

    Standard deviations over the views, medians over the photographs: of the crop's centre `x` and `y`
    and of the logarithm of its `side`, in crop sides, and of its `roll` in degrees; for each way to
    align.
    """
    generator = host_generator(seed, "wander", 0)
    spreads: dict[Align, list[np.ndarray]] = {align: [] for align in ALIGNS}
    for photo in photos:
        looks: dict[Align, list[list[float]]] = {align: [] for align in ALIGNS}
        for _ in range(_LOOKS):
            scale = math.exp(generator.uniform(-0.35, 0))
            shift = generator.uniform(-0.04, 0.04, 2) * max(photo.shape[:2])
            moved = cv2.warpAffine(
                photo,
                np.array([[scale, 0, shift[0]], [0, scale, shift[1]]]),
                photo.shape[1::-1],
                borderMode=cv2.BORDER_REPLICATE,
            )
            for face in detector.detect(moved)[:1]:
                for align, rows in looks.items():
                    square = square_of(face, align=align)
                    x, y = (np.array([square.x, square.y]) - shift) / scale
                    rows.append([x, y, square.side / scale, math.degrees(square.roll)])
        for align, rows in looks.items():
            if len(rows) > _LOOKS // 2:
                spreads[align].append(_relative_spread(np.array(rows)))
    report: dict[str, dict[str, float]] = {}
    for align, rows in spreads.items():
        if rows:
            values = np.median(rows, axis=0).round(4).tolist()
            report[align] = dict(zip(("x", "y", "side", "roll"), values, strict=True))
    return report


def _relative_spread(rows: np.ndarray) -> np.ndarray:
    """Standard deviations of x, y, side in crop sides and of roll, from float [N, 4]."""
    side = math.exp(float(np.mean(np.log(rows[:, 2]))))
    spread = rows.std(axis=0)
    return np.array([spread[0] / side, spread[1] / side, np.log(rows[:, 2]).std(), spread[3]])
