from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_jax.expressions import COLOURS, EXPRESSIONS
from fer_jax.faces.annotate import FaceLabel, annotate

HAPPY = [0.02, 0.02, 0.02, 0.8, 0.1, 0.02, 0.02]
YELLOW = np.frombuffer(bytes.fromhex(COLOURS["happy"].removeprefix("#")), np.uint8)


def plain(level: int, *, width: int = 640, height: int = 480) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


@pytest.mark.parametrize("level", [0, 255])
def test_box_and_label_stand_out_from_dark_and_light_images(level):
    image = plain(level)
    drawn = annotate(image, [FaceLabel((200, 200, 120, 160), HAPPY)], charts=False)
    assert (image == level).all()
    assert (drawn[280, 200] == YELLOW).all()
    edge = drawn[280, 190:200].astype(int).sum(axis=1)
    assert abs(edge.min() - YELLOW.astype(int).sum()) > 200  # the coloured line has a dark edge
    label = drawn[170:200, 200:330].astype(int).mean(axis=2)
    assert label.max() - label.min() > 150  # text on its plate


def test_the_chart_shows_each_probability_and_covers_no_other_face():
    image = plain(128)
    left, right = (180, 150, 100, 130), (300, 150, 100, 130)
    drawn = annotate(image, [FaceLabel(left, HAPPY), FaceLabel(right, HAPPY)])
    inside = drawn[180:260, 310:390]
    assert (inside == 128).all()
    lengths = {
        name: int(
            (drawn == np.frombuffer(bytes.fromhex(COLOURS[name][1:]), np.uint8)).all(axis=2).sum()
        )
        for name in EXPRESSIONS
        if name != "happy"  # the boxes have the expression's colour
    }
    assert max(lengths, key=lengths.__getitem__) == "neutral"
    assert min(lengths.values()) > 0


def test_an_uncertain_face_is_drawn_differently_from_a_certain_one():
    box = (200.0, 200.0, 120.0, 160.0)
    certain, unsure = (
        annotate(plain(90), [FaceLabel(box, HAPPY, uncertain=doubt)]) for doubt in (False, True)
    )
    assert (certain != unsure).any()


def test_an_unreadable_face_has_no_expression_and_no_chart():
    box = (200.0, 200.0, 120.0, 160.0)
    drawn = annotate(plain(90), [FaceLabel(box, HAPPY, quality="dark")])
    assert not (drawn == YELLOW).all(axis=2).any()
    assert (drawn[200:360, 330:] == 90).all()
    other = annotate(plain(90), [FaceLabel(box, HAPPY, quality="blurred")])
    assert (drawn != other).any()


coordinates = st.floats(-500, 4500)
sides = st.floats(1, 5000)
labels = st.builds(
    FaceLabel,
    box=st.tuples(coordinates, coordinates, sides, sides),
    probabilities=st.permutations(HAPPY),
    uncertain=st.booleans(),
    name=st.sampled_from(["", "#12"]),
)


@given(st.integers(1, 700), st.integers(1, 500), st.lists(labels, max_size=4))
@settings(max_examples=60, deadline=None)
def test_any_box_in_any_image_can_be_drawn(width, height, faces):
    drawn = annotate(plain(200, width=width, height=height), faces)
    assert drawn.shape == (height, width, 3)
    assert drawn.dtype == np.uint8


def test_text_grows_with_the_image():
    heights = []
    for scale in (1, 6):
        image = plain(0, width=320 * scale, height=240 * scale)
        box = tuple(value * scale for value in (120, 100, 60, 80))
        drawn = annotate(image, [FaceLabel(box, HAPPY)], charts=False)
        rows = (drawn[: 100 * scale, 140 * scale :].min(axis=2) > 150).any(axis=1)  # the letters
        heights.append(int(rows.sum()))
    assert heights[0] >= 7  # pixels from the top of "h" to the foot of "y"
    assert heights[1] >= 2.5 * heights[0]
