"""The identity of a drawn person: random proportions, tones, hair, beard and glasses.

Lengths are in face units (half the face's width), tones in grey levels; nothing here depends on the
expression.
"""

from __future__ import annotations

import dataclasses

from fer_jax.data.drawing.strokes import Dice


@dataclasses.dataclass(frozen=True)
class Identity:
    """One person. Heights count down from the line through the eyes."""

    skin: float  # grey level of evenly lit skin
    hair: float  # grey level
    brow: float  # grey level
    lips: float  # grey level
    iris: float  # grey level
    age: float  # depth of wrinkles, 1 is usual
    contour: float  # depth of the head's own shadows, 1 is usual
    chin: float
    jaw: float  # how square: the lower control point's distance from the axis
    eye_x: float  # distance of an eye from the axis
    eye_width: float  # half an eye's width
    eye_open: float  # height of the upper lid over the eye line
    eye_tilt: float  # rise of the outer corner
    brow_y: float  # height of the brows over the eyes
    brow_width: float  # half a brow's length
    brow_arch: float
    brow_slant: float  # fall of the inner end at rest
    brow_thickness: float
    nose_y: float
    nose_width: float
    mouth_y: float
    mouth_width: float  # half the mouth's width
    mouth_rest: float  # fall of the corners at rest
    upper_lip: float
    lower_lip: float
    hairline: float  # height of the hair's edge over the eyes
    hair_part: float  # -1 to 1, where the hair is parted
    hair_volume: float  # how far hair stands off the head
    hair_length: float  # where the hair behind the head ends
    bald: bool
    fringe: bool
    beard: float  # 0 none, 1 full
    moustache: float  # 0 none, 1 full
    glasses: float  # width of the rim, 0 for none


def draw_identity(dice: Dice) -> Identity:
    """Returns a random person."""
    uniform, chance = dice.uniform, dice.chance
    skin = uniform(85.0, 225.0)
    grey_haired = chance(0.15)
    hair = uniform(150.0, 220.0) if grey_haired else uniform(15.0, max(40.0, 0.75 * skin))
    bearded, bald = chance(0.15), chance(0.1)
    return Identity(
        skin=skin,
        hair=hair,
        brow=min(hair, skin * 0.7) * uniform(0.45, 0.95),
        lips=skin * uniform(0.62, 0.92),
        iris=uniform(20.0, 110.0),
        age=uniform(0.45, 1.3),
        contour=uniform(0.5, 1.3),
        chin=uniform(1.28, 1.52),
        jaw=uniform(0.42, 0.85),
        eye_x=uniform(0.40, 0.49),
        eye_width=uniform(0.20, 0.27),
        eye_open=uniform(0.085, 0.135),
        eye_tilt=uniform(-0.035, 0.05),
        brow_y=uniform(0.29, 0.40),
        brow_width=uniform(0.24, 0.31),
        brow_arch=uniform(0.0, 0.09),
        brow_slant=uniform(-0.03, 0.03),
        brow_thickness=uniform(0.03, 0.085),
        nose_y=uniform(0.46, 0.60),
        nose_width=uniform(0.16, 0.26),
        mouth_y=uniform(0.84, 0.96),
        mouth_width=uniform(0.35, 0.46),
        mouth_rest=uniform(-0.025, 0.025),
        upper_lip=uniform(0.04, 0.10),
        lower_lip=uniform(0.06, 0.13),
        hairline=uniform(0.70, 1.05),
        hair_part=uniform(-1.0, 1.0),
        hair_volume=uniform(0.06, 0.35),
        hair_length=dice.choice((0.2, 0.3, 0.9, 2.4)) + uniform(-0.1, 0.1),
        bald=bald,
        fringe=not bald and chance(0.2),
        beard=uniform(0.3, 0.9) if bearded else 0.0,
        moustache=uniform(0.4, 0.9) if bearded or chance(0.06) else 0.0,
        glasses=uniform(0.025, 0.06) if chance(0.14) else 0.0,
    )
