"""Renders strokes as a camera image: pose, paint, light, lens and noise."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import cv2
import numpy as np

from fer_jax.data.degradations import compressed
from fer_jax.data.drawing.strokes import Dice, Stroke
from fer_jax.faces.preprocess import FACE_SIZE, grey_face

CANVAS = 96  # pixels; twice the image's side, so that lines thinner than a pixel survive
_SHIFT = 4  # fractional bits of coordinates passed to OpenCV
_STEPS = 9  # points per curve; more make no difference on the canvas

_T = np.linspace(0.0, 1.0, _STEPS, dtype=np.float32)
_BERNSTEIN = np.stack(
    [(1 - _T) ** 3, 3 * _T * (1 - _T) ** 2, 3 * _T**2 * (1 - _T), _T**3], axis=1
)  # float32 [_STEPS, 4]
_ROWS, _COLUMNS = np.mgrid[0:FACE_SIZE, 0:FACE_SIZE].astype(np.float32)


@dataclasses.dataclass(frozen=True)
class Pose:
    """Position and orientation of the head. Angles in radians, lengths in canvas pixels."""

    x: float
    y: float
    scale: float  # canvas pixels per face unit
    stretch: float  # height over width
    yaw: float
    pitch: float
    roll: float


def draw_pose(dice: Dice) -> Pose:
    """Returns a random pose, framed as loosely as a face detector's crops."""
    uniform = dice.uniform
    return Pose(
        x=CANVAS * uniform(0.46, 0.54),
        y=CANVAS * uniform(0.37, 0.44),
        scale=CANVAS * uniform(0.38, 0.44),
        stretch=uniform(0.92, 1.05),
        yaw=uniform(-0.28, 0.28),
        pitch=uniform(-0.13, 0.13),
        roll=uniform(-0.14, 0.14),
    )


def project(strokes: Sequence[Stroke], pose: Pose) -> list[np.ndarray]:
    """Returns each stroke's outline as seen, int32 [P, 2] canvas pixels times 16."""
    counts = [len(stroke.curves) for stroke in strokes]
    controls = np.array([c for stroke in strokes for c in stroke.curves], dtype=np.float32)
    surface = np.array([(s.relief, s.lift) for s in strokes], dtype=np.float32).repeat(counts, 0)
    points = _BERNSTEIN @ controls
    x, y = points[..., 0], points[..., 1]
    # The front of the head is an ellipsoid; silhouettes keep their width when it turns.
    bulge = np.sqrt(np.maximum(0.0, 1.0 - 0.85 * x * x - 0.35 * np.square(y - 0.1)))
    z = surface[:, :1] * bulge + surface[:, 1:]
    front = np.clip(z, 0.0, 1.0)
    turned_x = x * (1.0 - front * (1.0 - math.cos(pose.yaw))) + z * math.sin(pose.yaw)
    turned_y = y * (1.0 - front * (1.0 - math.cos(pose.pitch))) + z * math.sin(pose.pitch)
    cos, sin = pose.scale * math.cos(pose.roll), pose.scale * math.sin(pose.roll)
    turned_y = turned_y * pose.stretch
    seen = np.stack(
        [cos * turned_x - sin * turned_y + pose.x, sin * turned_x + cos * turned_y + pose.y],
        axis=-1,
    )
    fixed = np.rint(seen * (1 << _SHIFT)).astype(np.int32).reshape(-1, 2)
    ends = np.cumsum(counts) * _STEPS
    return [fixed[end - n * _STEPS : end] for end, n in zip(ends.tolist(), counts, strict=True)]


def paint(
    canvas: np.ndarray, strokes: Sequence[Stroke], outlines: Sequence[np.ndarray], unit: float
) -> None:
    """Paints strokes on a canvas in order, in place.

    Args:
        canvas: uint8 [96, 96], or [48, 48] with coordinates halved.
        strokes: what to paint.
        outlines: the strokes as projected.
        unit: canvas pixels per face unit, for the width of lines.
    """
    shift = _SHIFT if len(canvas) == CANVAS else _SHIFT + 1
    for stroke, outline in zip(strokes, outlines, strict=True):
        tone = min(255.0, max(0.0, stroke.tone))
        if stroke.width:
            width = max(1, round(stroke.width * unit))
            cv2.polylines(canvas, [outline], False, tone, width, cv2.LINE_AA, shift)
        else:
            cv2.fillPoly(canvas, [outline], tone, cv2.LINE_AA, shift)


def backdrop(dice: Dice) -> np.ndarray:
    """Returns the background: blurred tones and an edge or two, uint8 [96, 96]."""
    base, spread = dice.uniform(20.0, 235.0), dice.uniform(0.0, 60.0)
    coarse = base + spread * (dice.rng.random((4, 4), dtype=np.float32) - 0.5)
    canvas = cv2.resize(coarse, (CANVAS, CANVAS), interpolation=cv2.INTER_LINEAR)
    canvas = np.clip(canvas, 0, 255).astype(np.uint8)
    for _ in range(int(dice.uniform(0.0, 4.0))):
        x, y = dice.uniform(0, CANVAS), dice.uniform(0, CANVAS)
        wide, high = dice.uniform(4, 40), dice.uniform(4, 80)
        start, end = (round(x - wide), round(y - high)), (round(x + wide), round(y + high))
        cv2.rectangle(canvas, start, end, dice.uniform(20.0, 235.0), -1)
    return canvas


def light(dice: Dice, pose: Pose) -> np.ndarray:
    """Returns the light on each pixel, float32 [48, 48] around 1: one lamp and daylight."""
    half = CANVAS / FACE_SIZE
    u = (_COLUMNS - pose.x / half) * (half / (1.15 * pose.scale))
    v = (_ROWS - (pose.y / half + 4.0)) * (half / (1.6 * pose.scale))
    w = np.sqrt(np.maximum(0.05, 1.0 - u * u - v * v))
    side, height = dice.uniform(-1.0, 1.0), dice.uniform(-0.9, 0.4)
    norm = math.sqrt(side * side + height * height + 0.8)
    lamp = dice.uniform(0.2, 1.0)
    lit = np.maximum(0.0, (side * u + height * v + math.sqrt(0.8) * w) / norm)
    return (1.0 - lamp) * 0.9 + lamp * (0.25 + 0.95 * lit)


def photograph(painted: np.ndarray, shading: np.ndarray, dice: Dice, pose: Pose) -> np.ndarray:
    """Lights a painted canvas and takes its image.

    Args:
        painted: uint8 [96, 96] tones.
        shading: uint8 [48, 48], 128 for no change.
        dice: decides lamp, contrast, focus, noise and compression.
        pose: where the head is.

    Returns:
        uint8 [48, 48].
    """
    soft = cv2.blur(cv2.blur(shading, (3, 3)), (3, 3))
    image = grey_face(painted) * (soft * (1.0 / 128.0)) * light(dice, pose)
    mean, std = cv2.meanStdDev(image)
    contrast = dice.uniform(36.0, 72.0) / max(1.0, float(std[0, 0]))
    image = (image - mean[0, 0]) * contrast + dice.uniform(75.0, 170.0)
    if dice.chance(0.4):
        image = cv2.blur(image, (3, 3)) if dice.chance(0.3) else cv2.blur(image, (2, 2))
    noise = dice.uniform(0.0, 6.0)
    image = image + noise * dice.rng.standard_normal(image.shape, dtype=np.float32)
    image = np.clip(image, 0, 255).astype(np.uint8)
    if dice.chance(0.5):
        image = compressed(image, int(dice.uniform(70, 97)))
    return image
