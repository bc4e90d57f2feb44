"""Draws one random face: identity, expression and camera."""

from __future__ import annotations

import numpy as np

from fer_jax.data.action_units import ACTION_UNITS, ACTIVATION_LENGTH, EXPRESSION_VARIANTS
from fer_jax.data.drawing import features, head, rendering
from fer_jax.data.drawing.identity import Identity, draw_identity
from fer_jax.data.drawing.strokes import Dice, Stroke
from fer_jax.faces.preprocess import FACE_SIZE

_UNITS = tuple(ACTION_UNITS)


def draw_activations(expression: str, dice: Dice) -> tuple[list[float], list[float]]:
    """Returns the active action units of the face's left and right half (as imaged)."""
    both = [0.0] * ACTIVATION_LENGTH
    # Sets the difficulty, together with stray units, pose and noise: from 0.5 up, with all of these
    # about twice as wide, a small network stopped at 76 % of the validation faces instead of 95 %.
    strength = dice.uniform(0.78, 1.0)
    for unit, (low, high) in dice.choice(EXPRESSION_VARIANTS[expression]).items():
        both[unit] = strength * dice.uniform(low, high)
    for _ in range(2):  # people also move muscles beyond the prototypes
        unit = dice.choice(_UNITS)
        both[unit] = max(both[unit], dice.uniform(0.0, 0.1))
    left = [min(1.0, a * dice.uniform(0.8, 1.2)) if a else 0.0 for a in both]
    right = [min(1.0, a * dice.uniform(0.8, 1.2)) if a else 0.0 for a in both]
    return left, right


def face_strokes(who: Identity, left: list[float], right: list[float], dice: Dice) -> list[Stroke]:
    """Returns all strokes of a head, in painting order."""
    jaw_drop = features.jaw_drop(features.average(left, right))
    gaze = (dice.uniform(-0.07, 0.07), dice.uniform(-0.02, 0.03))
    sides = ((-1.0, left), (1.0, right))
    strokes = head.behind(who, dice.uniform(15.0, 235.0)) + head.skull(who, jaw_drop)
    for side, au in sides:
        strokes += features.eye(who, au, side, gaze)
        strokes += features.eye_folds(who, au, side)
        strokes += features.cheek_folds(who, au, side)
    strokes += head.beard(who, jaw_drop)
    strokes += features.nose(who, left, right) + features.mouth(who, left, right)
    for side, au in sides:
        strokes += features.brow(who, au, side)
    return strokes + head.hair(who) + head.glasses(who)


def portrait(expression: str, rng: np.random.Generator) -> np.ndarray:
    """Returns one random face showing the expression, uint8 [48, 48] grey levels."""
    dice = Dice(rng)
    who, pose = draw_identity(dice), rendering.draw_pose(dice)
    left, right = draw_activations(expression, dice)
    painted = face_strokes(who, left, right, dice)
    shaded = head.shadows(who, left, right)
    outlines = rendering.project(painted + shaded, pose)
    canvas = rendering.backdrop(dice)
    rendering.paint(canvas, painted, outlines[: len(painted)], pose.scale)
    shading = np.full((FACE_SIZE, FACE_SIZE), 128, np.uint8)
    rendering.paint(shading, shaded, outlines[len(painted) :], pose.scale / 2)
    return rendering.photograph(canvas, shading, dice, pose)
