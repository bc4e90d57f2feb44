"""The elements of drawings: cubic Bézier curves in face coordinates, and random draws.

Face coordinates: origin between the eyes, x to the image's right, y down, one unit is half the
face's width. Every line and every filled area of a face is one `Stroke`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np

Point = tuple[float, float]
Curve = tuple[Point, Point, Point, Point]
_T = TypeVar("_T")

# An ellipse's quarter as a cubic Bézier: the usual 4 (sqrt(2) - 1) / 3.
_KAPPA = 0.5523


class Stroke(NamedTuple):
    """One filled area or one line.

    Attributes:
        curves: cubic Béziers joined end to end, in face coordinates.
        tone: grey level 0 to 255; on the shading layer 128 means no change, less darkens.
        width: line width in face units, 0 for a filled area.
        relief: 1 lies on the rounded front of the head, 0 on its silhouette's plane.
        lift: height over that surface in face units (a nose tip stands out, back hair lies behind).
    """

    curves: Sequence[Curve]
    tone: float
    width: float = 0.0
    relief: float = 1.0
    lift: float = 0.0


class Dice:
    """Uniform draws from one generator, taken 256 at a time.

    One call of NumPy's uniform costs 2.6 microseconds; a face takes a hundred draws.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self._pool: list[float] = []

    def uniform(self, low: float, high: float) -> float:
        """Returns a float in [low, high)."""
        if not self._pool:
            self._pool = self.rng.random(256).tolist()
        return low + (high - low) * self._pool.pop()

    def chance(self, probability: float) -> bool:
        """Returns True with the given probability."""
        return self.uniform(0.0, 1.0) < probability

    def choice(self, options: Sequence[_T]) -> _T:
        """Returns one of the options, all equally likely."""
        return options[int(self.uniform(0.0, len(options)))]


def line(start: Point, end: Point) -> Curve:
    """A straight curve."""
    (x0, y0), (x1, y1) = start, end
    dx, dy = (x1 - x0) / 3, (y1 - y0) / 3
    return (start, (x0 + dx, y0 + dy), (x1 - dx, y1 - dy), end)


def arch(start: Point, end: Point, middle: float, spread: float = 0.5) -> Curve:
    """A curve whose middle is at height `middle`; the smaller the spread, the boxier it is."""
    (x0, y0), (x1, y1) = start, end
    bend = (8 * middle - y0 - y1) / 6
    dx = (x1 - x0) * spread / 2
    return (start, (x0 + dx, bend), (x1 - dx, bend), end)


def between(first: Curve, second: Curve, fraction: float) -> Curve:
    """The curve that lies the given fraction of the way from one curve to another."""
    points = [
        (x0 + (x1 - x0) * fraction, y0 + (y1 - y0) * fraction)
        for (x0, y0), (x1, y1) in zip(first, second, strict=True)
    ]
    return (points[0], points[1], points[2], points[3])


def point_on(curve: Curve, t: float) -> Point:
    """The point at parameter t (0 start, 1 end) of a curve."""
    a, b, c, d = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = curve
    return (a * x0 + b * x1 + c * x2 + d * x3, a * y0 + b * y1 + c * y2 + d * y3)


def reverse(curve: Curve) -> Curve:
    """The same curve drawn from its end."""
    return (curve[3], curve[2], curve[1], curve[0])


def mirror(curve: Curve, side: float) -> Curve:
    """The curve as drawn for the image's right, moved to the side of that sign (-1 or +1)."""
    a, b, c, d = curve
    return ((side * a[0], a[1]), (side * b[0], b[1]), (side * c[0], c[1]), (side * d[0], d[1]))


def ellipse(x: float, y: float, rx: float, ry: float) -> tuple[Curve, ...]:
    """A closed ellipse of four curves around (x, y)."""
    kx, ky = rx * _KAPPA, ry * _KAPPA
    return (
        ((x + rx, y), (x + rx, y + ky), (x + kx, y + ry), (x, y + ry)),
        ((x, y + ry), (x - kx, y + ry), (x - rx, y + ky), (x - rx, y)),
        ((x - rx, y), (x - rx, y - ky), (x - kx, y - ry), (x, y - ry)),
        ((x, y - ry), (x + kx, y - ry), (x + rx, y - ky), (x + rx, y)),
    )
