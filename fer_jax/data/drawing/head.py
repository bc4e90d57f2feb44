"""The base of the features: head, neck, ears, hair, beard and glasses, and the head's shadows."""

from __future__ import annotations

from fer_jax.data.action_units import Activation
from fer_jax.data.drawing.features import average, mouth_gap
from fer_jax.data.drawing.identity import Identity
from fer_jax.data.drawing.strokes import (
    Curve,
    Stroke,
    arch,
    ellipse,
    line,
    mirror,
    point_on,
    reverse,
)

_CROWN = -1.42  # height of the top of the skull over the eyes


def behind(who: Identity, clothes: float) -> list[Stroke]:
    """Hair behind the head, shoulders, neck and ears: everything behind the face."""
    strokes = []
    if not who.bald:
        wide, top = 1.0 + who.hair_volume, _CROWN - 0.7 * who.hair_volume
        end = who.hair_length
        half: tuple[Curve, ...] = (
            ((0.0, top), (0.7 * wide, top), (wide, -0.9), (wide, -0.2)),
            ((wide, -0.2), (wide + 0.05, 0.3 * end), (wide + 0.05, 0.8 * end), (0.8 * wide, end)),
        )
        strokes.append(_both_halves(half, who.hair, lift=-0.25))
    collar = ((0.42, 1.6), (0.8, 1.68), (1.4, 1.75), (1.7, 2.1))
    neck = (line((0.62, 0.7), (0.58, 1.7)), line((0.58, 1.7), (0.65, 2.8)))
    shoulders: tuple[Curve, ...] = (
        line((0.0, 1.85), (0.42, 1.6)),
        collar,
        line((1.7, 2.1), (1.8, 4.0)),
    )
    strokes.append(_both_halves(neck, who.skin * 0.72, lift=-0.3))
    strokes.append(_both_halves(shoulders, clothes, lift=-0.3))
    for side in (-1.0, 1.0):
        strokes.append(
            Stroke(ellipse(side * 1.0, 0.17, 0.12, 0.25), who.skin * 0.85, 0.0, 0.0, -0.1)
        )
    return strokes


def skull(who: Identity, jaw_drop: float) -> list[Stroke]:
    """The face's skin, chin lowered by `jaw_drop` face units."""
    chin = who.chin + jaw_drop
    half: tuple[Curve, ...] = (
        ((0.0, _CROWN), (0.62, _CROWN), (1.0, -0.85), (1.0, -0.05)),
        ((1.0, -0.05), (1.0, 0.85 * chin), (who.jaw, chin), (0.0, chin)),
    )
    return [_both_halves(half, who.skin)]


def beard(who: Identity, jaw_drop: float) -> list[Stroke]:
    """Beard and moustache, painted under the mouth; their tone mixes hair and skin."""
    strokes = []
    if who.beard:
        chin = who.chin + jaw_drop
        tone = who.skin + (who.hair - who.skin) * who.beard * 0.8
        half: tuple[Curve, ...] = (
            ((0.0, who.mouth_y - 0.22), (0.45, who.mouth_y - 0.3), (0.7, 0.75), (0.99, 0.1)),
            ((0.99, 0.1), (1.0, 0.88 * chin), (who.jaw, chin + 0.03), (0.0, chin + 0.04)),
        )
        strokes.append(_both_halves(half, tone))
    if who.moustache:
        tone = who.skin + (who.hair - who.skin) * who.moustache
        top, bottom = who.nose_y + 0.08, who.mouth_y - 0.03
        left, right = (-0.9 * who.mouth_width, bottom), (0.9 * who.mouth_width, bottom)
        curves = (arch(left, right, top, 0.4), reverse(arch(left, right, bottom - 0.04, 0.5)))
        strokes.append(Stroke(curves, tone, lift=0.05))
    return strokes


def hair(who: Identity) -> list[Stroke]:
    """Hair in front: over the crown down to the hairline, or a fringe down to the brows."""
    if who.bald:
        return []
    wide, top = 1.0 + 0.5 * who.hair_volume, _CROWN - 0.7 * who.hair_volume
    edge = 0.45 if who.fringe else who.hairline
    left, right = (-1.02, -0.05), (1.02, -0.05)
    part = 0.5 * who.hair_part
    temple = edge - 0.12
    crown: tuple[Curve, Curve] = (
        (left, (-wide, -0.85), (-0.7, top), (0.0, top)),
        ((0.0, top), (0.7, top), (wide, -0.85), right),
    )
    hairline: tuple[Curve, Curve] = (
        (right, (0.95, -temple - 0.4), (0.45 + part, -edge - 0.12), (part, -edge)),
        ((part, -edge), (-0.45 + part, -edge - 0.12), (-0.95, -temple - 0.4), left),
    )
    strokes = [Stroke((*crown, *hairline), who.hair, relief=0.5)]
    root = (0.7 * part, top + 0.12)
    for curve in hairline:
        for place, shine in ((0.2, 14.0), (0.4, -10.0), (0.6, 18.0), (0.8, -8.0)):
            x, y = point_on(curve, place)
            strand = (
                root,
                (0.3 * root[0] + 0.7 * x, root[1]),
                (x, 0.6 * root[1] + 0.4 * y),
                (x, y),
            )
            strokes.append(Stroke((strand,), who.hair + shine, 0.035, relief=0.5))
    return strokes


def glasses(who: Identity) -> list[Stroke]:
    """Round rims, bridge and arms."""
    if not who.glasses:
        return []
    strokes = []
    tone = 25.0 if who.skin > 110 else 10.0
    for side in (-1.0, 1.0):
        rim = ellipse(side * who.eye_x, 0.04, 0.34, 0.28)
        arm = line((0.80, 0.0), (1.02, -0.04))
        strokes.append(Stroke(rim, tone, who.glasses, lift=0.12))
        strokes.append(Stroke((mirror(arm, side),), tone, who.glasses))
    bridge = arch((0.34 - who.eye_x, 0.0), (who.eye_x - 0.34, 0.0), -0.05)
    strokes.append(Stroke((bridge,), tone, who.glasses, lift=0.15))
    return strokes


def shadows(who: Identity, left: Activation, right: Activation) -> list[Stroke]:
    """Strokes of the shading layer (128 is no change): sockets, nose, cheeks, under the lip."""
    depth = who.contour
    strokes = []
    for side, au in ((-1.0, left), (1.0, right)):
        socket_y = -0.45 * who.brow_y - 0.05 * au[1] + 0.03 * au[4]
        socket = ellipse(side * (who.eye_x - 0.04), socket_y, 0.26, 0.13 + 0.03 * au[4])
        bag = arch((who.eye_x - 0.2, 0.2), (who.eye_x + 0.2, 0.16), 0.27 - 0.05 * au[6])
        cheek = ellipse(side * 0.56, 0.42 - 0.07 * au[6], 0.2, 0.13)
        nose_side: Curve = (
            (0.1, -0.15),
            (0.16, 0.1),
            (0.14, 0.3),
            (who.nose_width, who.nose_y - 0.12),
        )
        strokes += [
            Stroke(socket, 128.0 - 26.0 * depth * (1.0 + 0.5 * au[4])),
            Stroke((mirror(bag, side),), 128.0 - 14.0 * who.age * (1.0 + au[6]), 0.05),
            Stroke(cheek, 128.0 + 10.0 * depth * (1.0 + 0.8 * au[12])),
            Stroke((mirror(nose_side, side),), 128.0 - 20.0 * depth, 0.07, lift=0.05),
        ]
    both = average(left, right)
    lip = who.mouth_y + who.lower_lip + mouth_gap(both) + 0.08
    strokes += [
        Stroke(ellipse(0.0, who.nose_y + 0.05, who.nose_width * 0.8, 0.05), 128.0 - 22.0 * depth),
        Stroke(
            (line((0.0, -0.1), (0.0, who.nose_y - 0.2)),), 128.0 + 12.0 * depth, 0.09, lift=0.15
        ),
        Stroke(ellipse(0.0, lip, 0.22, 0.05), 128.0 - (16.0 + 10.0 * both[17]) * depth),
    ]
    if both[9] > 0.1:
        strokes.append(Stroke(ellipse(0.0, 0.12, 0.2, 0.14), 128.0 - 34.0 * both[9], lift=0.1))
    return strokes


def _both_halves(half: tuple[Curve, ...], tone: float, lift: float = 0.0) -> Stroke:
    other = tuple(reverse(mirror(curve, -1.0)) for curve in reversed(half))
    return Stroke((*half, *other), tone, relief=0.0, lift=lift)
