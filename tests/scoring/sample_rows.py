"""A row in which every column says something."""

from __future__ import annotations

from fer_jax.scoring.rows import Row

FACE = Row(
    "a b.mp4",
    "ok",
    frame=12,
    time_s=0.48,
    face=1,
    track=3,
    box=(-1.5, 2.0, 30.25, 40.0),
    detection_score=0.9,
    expression="happy",
    confidence=0.7,
    uncertain=False,
    quality="ok",
    probabilities=(0.0, 0.1, 0.0, 0.7, 0.1, 0.05, 0.05),
    smoothed=(0.0, 0.1, 0.0, 0.6, 0.2, 0.05, 0.05),
    smooth_expression="happy",
)
