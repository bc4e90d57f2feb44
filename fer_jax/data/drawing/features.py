"""The features that action units move: brows, eyes, nose, mouth and folds of the skin.

Strokes are in painting order; `side` is -1 for the image's left and +1 for its right. Factors of
`au[n]` are displacements in face units at that unit's maximum: directions are the FACS manual's, sizes
were set by eye and are slightly exaggerated, because an image has only 48 pixels.
"""

from __future__ import annotations

from fer_jax.data.action_units import Activation
from fer_jax.data.drawing.identity import Identity
from fer_jax.data.drawing.strokes import (
    Curve,
    Point,
    Stroke,
    arch,
    between,
    ellipse,
    line,
    mirror,
    reverse,
)

_MOUTH_INSIDE = 38.0  # grey level
_FAINT = 0.15  # a fold weaker than this would vanish in the camera's noise


def brow(who: Identity, au: Activation, side: float) -> list[Stroke]:
    """One eyebrow, tapering outwards."""
    inner_x = who.eye_x - 0.8 * who.brow_width - 0.06 * au[4]
    outer_x = who.eye_x + 1.2 * who.brow_width
    inner = -who.brow_y + who.brow_slant - 0.19 * au[1] + 0.18 * au[4] + 0.09 * au[9]
    middle = -who.brow_y - who.brow_arch - 0.08 * au[1] - 0.18 * au[2] + 0.10 * au[4] + 0.07 * au[9]
    outer = -who.brow_y + 0.02 - 0.13 * au[2] + 0.03 * au[4]
    thick = who.brow_thickness
    upper = arch((inner_x, inner - thick), (outer_x, outer), middle - thick, 0.7)
    a, b, c, end = upper
    lower = ((a[0], a[1] + 2 * thick), (b[0], b[1] + 1.8 * thick), (c[0], c[1] + 1.3 * thick), end)
    return [Stroke((mirror(upper, side), mirror(reverse(lower), side)), who.brow)]


def eye(who: Identity, au: Activation, side: float, gaze: Point) -> list[Stroke]:
    """One eye: white, iris, pupil, then the lids painted over them."""
    x, width = who.eye_x, who.eye_width
    inner = (x - width, 0.015)
    outer = (x + width, -who.eye_tilt - 0.01 * au[2])
    squint = 1.0 - 0.38 * au[7] - 0.38 * au[6] - 0.25 * au[9] - 0.12 * au[4]
    top = -who.eye_open * max(0.25, squint + au[5] + 0.1 * au[1])
    bottom = who.eye_open * max(0.1, 0.62 - 0.45 * au[6] - 0.5 * au[7] - 0.3 * au[9] + 0.2 * au[5])
    upper, lower = arch(inner, outer, top, 0.55), arch(inner, outer, bottom, 0.55)
    iris_x, iris_y = side * x + gaze[0], gaze[1] - 0.02
    radius = 0.105
    above = arch(outer, inner, -0.24 - who.eye_open, 0.5)
    below = arch(outer, inner, 0.26, 0.5)
    white = min(235.0, who.skin * 0.35 + 150.0)
    lid = who.skin * 0.93
    return [
        Stroke((mirror(upper, side), mirror(reverse(lower), side)), white),
        Stroke(ellipse(iris_x, iris_y, radius, radius), who.iris),
        Stroke(ellipse(iris_x, iris_y, 0.05, 0.05), 12.0),
        Stroke(ellipse(iris_x + 0.03, iris_y - 0.04, 0.022, 0.022), 245.0),
        Stroke((mirror(upper, side), mirror(above, side)), lid),
        Stroke((mirror(lower, side), mirror(below, side)), who.skin),
        Stroke((mirror(lower, side),), who.skin * 0.72, 0.02),
        Stroke((mirror(upper, side),), who.skin * 0.30, 0.036),
    ]


def eye_folds(who: Identity, au: Activation, side: float) -> list[Stroke]:
    """Wrinkles that the brow and the cheek press into the skin next to one eye."""
    x, width, skin = who.eye_x, who.eye_width, who.skin
    strokes = []
    crow = who.age * max(au[6], 0.6 * au[9])
    if crow > _FAINT:
        tone = skin * (1.0 - 0.30 * crow)
        out = x + width + 0.05
        for rise in (-0.10, 0.0, 0.10):
            strokes.append(Stroke((line((out, rise * 0.4), (out + 0.14, rise)),), tone, 0.02))
    frown = who.age * au[4]
    if frown > _FAINT:
        fold = line((0.075, -who.brow_y - 0.12), (0.055, -who.brow_y + 0.16))
        strokes.append(Stroke((fold,), skin * (1.0 - 0.40 * frown), 0.03))
    raised = who.age * au[2]
    if raised > _FAINT:
        tone = skin * (1.0 - 0.22 * raised)
        for height in (0.24, 0.38):
            y = -who.brow_y - height
            fold = arch((0.1, y), (x + width, y + 0.03), y - 0.03)
            strokes.append(Stroke((fold,), tone, 0.022))
    elif au[1] * who.age > _FAINT:
        y = -who.brow_y - 0.26
        fold = arch((0.0, y), (0.3, y + 0.05), y + 0.01)
        strokes.append(Stroke((fold,), skin * (1.0 - 0.22 * au[1] * who.age), 0.022))
    return [stroke._replace(curves=[mirror(c, side) for c in stroke.curves]) for stroke in strokes]


def nose(who: Identity, left: Activation, right: Activation) -> list[Stroke]:
    """Nostrils and wings, and the wrinkles across the bridge."""
    strokes = []
    for side, au in ((-1.0, left), (1.0, right)):
        y = who.nose_y - 0.08 * au[9] - 0.03 * au[10]
        half = who.nose_width * (1.0 + 0.18 * au[9] + 0.1 * au[12] + 0.08 * au[10])
        wing: Curve = (
            (half * 0.85, y - 0.16),
            (half * 1.2, y - 0.1),
            (half * 1.1, y + 0.03),
            (half * 0.7, y),
        )
        nostril = ellipse(side * half * 0.48, y + 0.01, half * 0.26, 0.035 + 0.015 * au[9])
        strokes += [
            Stroke((mirror(wing, side),), who.skin * 0.68, 0.03, lift=0.08),
            Stroke(nostril, who.skin * 0.28, lift=0.12),
        ]
        wrinkle = who.age * au[9]
        if wrinkle > _FAINT:
            tone = who.skin * (1.0 - 0.42 * min(1.0, wrinkle))
            for height, reach in ((-0.02, 0.13), (0.09, 0.15), (0.20, 0.17)):
                fold = line((0.02, height - 0.03), (reach, height + 0.05))
                strokes.append(Stroke((mirror(fold, side),), tone, 0.028, lift=0.1))
    return strokes


def mouth(who: Identity, left: Activation, right: Activation) -> list[Stroke]:
    """Lips, and what is visible between them: the dark inside, teeth, tongue."""
    both = average(left, right)
    corner, other = _mouth_corner(who, left, -1.0), _mouth_corner(who, right, 1.0)
    gap = mouth_gap(both)
    middle = who.mouth_y - 0.13 * both[10] - 0.06 * both[9] - 0.07 * both[17] + 0.02 * both[12]
    thin = 1.0 - 0.75 * both[23] - 0.25 * both[12] - 0.15 * both[20]
    spread = 0.62 - 0.25 * min(1.0, both[10] + both[20] * 0.5)
    inner_upper = arch(corner, other, middle, spread)
    inner_lower = arch(corner, other, middle + gap, spread)
    outer_upper = arch(corner, other, middle - who.upper_lip * thin, spread)
    lower_lip = who.lower_lip * (1.0 - 0.75 * both[23] - 0.2 * both[12] + 0.25 * both[17])
    outer_lower = arch(corner, other, middle + gap + lower_lip, spread)
    strokes = [
        Stroke((outer_upper, reverse(inner_upper)), who.lips * 0.92),
        Stroke((inner_lower, reverse(outer_lower)), who.lips),
    ]
    if gap > 0.03:
        strokes += _open_mouth(who, both, gap, inner_upper, inner_lower)
    else:
        strokes.append(Stroke((inner_upper,), who.skin * 0.32, 0.035))
    return strokes


def average(left: Activation, right: Activation) -> list[float]:
    """Returns the mean activation of both halves of the face."""
    return [(a + b) / 2 for a, b in zip(left, right, strict=True)]


def mouth_gap(au: Activation) -> float:
    """How far the lips are apart in the middle, in face units."""
    return (0.08 + 0.05 * au[10]) * au[25] + 0.06 * au[16] + 0.34 * au[26] + 0.58 * au[27]


def jaw_drop(au: Activation) -> float:
    """How far the chin is lowered, in face units."""
    return 0.24 * au[26] + 0.38 * au[27]


def _mouth_corner(who: Identity, au: Activation, side: float) -> Point:
    width = who.mouth_width * (
        1.0 + 0.28 * au[12] + 0.30 * au[20] - 0.14 * au[23] - 0.12 * au[26] - 0.24 * au[27]
    )
    drop = who.mouth_rest - 0.21 * au[12] + 0.20 * au[15] + 0.06 * au[20]
    drop += 0.16 * au[26] + 0.28 * au[27] - 0.03 * au[9]
    return (side * width, who.mouth_y + drop)


def _open_mouth(
    who: Identity, au: Activation, gap: float, upper: Curve, lower: Curve
) -> list[Stroke]:
    strokes = [Stroke((upper, reverse(lower)), _MOUTH_INSIDE)]
    teeth = 0.01 + 0.10 * max(au[12], au[10]) + 0.08 * au[20] + 0.04 * max(au[26], au[27])
    shown = between(upper, lower, min(0.9, teeth / gap))
    strokes.append(Stroke((upper, reverse(shown)), min(235.0, 130.0 + 0.45 * who.skin)))
    bottom = max(au[16], 0.6 * au[20])
    if bottom > 0.2 and gap > 0.1:
        shown = between(lower, upper, min(0.45, 0.05 * bottom / gap))
        strokes.append(Stroke((shown, reverse(lower)), min(215.0, 110.0 + 0.4 * who.skin)))
    elif gap > 0.2:
        strokes.append(Stroke((between(upper, lower, 0.72), reverse(lower)), who.lips * 0.7))
    return strokes


def cheek_folds(who: Identity, au: Activation, side: float) -> list[Stroke]:
    """The fold from one wing of the nose to the corner of the mouth."""
    corner_x, corner_y = _mouth_corner(who, au, 1.0)
    depth = (
        0.20 * (who.age - 0.45)
        + 0.30 * max(au[12], au[10], 0.8 * au[9])
        + 0.12 * max(au[20], au[15])
    )
    start = (who.nose_width + 0.04, who.nose_y - 0.10 - 0.08 * max(au[9], au[10]))
    out = corner_x + 0.10 + 0.06 * au[12]
    fold = (
        start,
        (out - 0.05, start[1] + 0.1),
        (out + 0.02, corner_y - 0.15),
        (out, corner_y + 0.02),
    )
    tone = who.skin * (1.0 - min(0.45, depth))
    return [Stroke((mirror(fold, side),), tone, 0.03)]
