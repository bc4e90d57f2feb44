from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_jax.expressions import EXPRESSIONS
from fer_jax.media import encoding
from server.live import rendering
from server.live.analysis import TrackedFace

HAPPY = np.array([0.02, 0.02, 0.02, 0.8, 0.1, 0.02, 0.02], np.float32)


def noise(width: int = 320, height: int = 240) -> np.ndarray:
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    image.setflags(write=False)
    return image


def face(*box: float, expression: str = "happy") -> TrackedFace:
    return TrackedFace(
        track=3,
        box=box,  # type: ignore[arg-type]
        detection_score=0.9,
        raw=HAPPY,
        probabilities=HAPPY,
        expression=expression,
        confidence=float(HAPPY[EXPRESSIONS.index(expression)]),
        uncertain=False,
    )


def decoded(jpeg: bytes) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert image is not None
    return image


def test_a_mirrored_image_is_flipped_with_its_boxes_but_not_its_text():
    image = noise()
    mirrored = rendering.draw(image, [face(200, 80, 60, 80)], mirror=True)
    by_hand = rendering.draw(np.ascontiguousarray(image[:, ::-1]), [face(60, 80, 60, 80)])
    np.testing.assert_array_equal(mirrored, by_hand)


def test_the_label_is_the_held_expression_even_when_another_is_momentarily_likelier():
    held = rendering.draw(noise(), [face(100, 80, 60, 80, expression="neutral")])
    likely = rendering.draw(noise(), [face(100, 80, 60, 80)])
    assert (held != likely).any()


@pytest.mark.parametrize("mirror", [False, True])
def test_a_pixelated_face_loses_all_detail_and_the_rest_of_the_image_none(mirror):
    image = noise()
    box = (120.0, 90.0, 60.0, 72.0)
    hidden = rendering.draw(rendering.hide(image, [box]), [], mirror=mirror)
    original = image[:, ::-1] if mirror else image
    left = 320 - 120 - 60 if mirror else 120
    inside = hidden[90:162, left : left + 60].reshape(-1, 3)
    assert len(np.unique(inside, axis=0)) <= 10 * 10
    changed = (hidden != original).any(axis=2)
    around = round(0.2 * 72) + 1
    changed[90 - around : 162 + around, left - around : left + 60 + around] = False
    assert not changed.any()


def test_an_image_survives_encoding():
    gradient = np.zeros((240, 320, 3), np.uint8)
    gradient[..., 0] = np.linspace(0, 255, 320)
    gradient[..., 2] = np.linspace(255, 0, 240)[:, None]
    back = decoded(encoding.jpeg(gradient, quality=90))
    assert back.shape == gradient.shape
    assert np.abs(back.astype(int) - gradient).mean() < 3


def test_a_notice_writes_title_and_text_over_the_darkened_image():
    behind = np.full((240, 320, 3), 200, np.uint8)
    plain = rendering.notice("", "", width=1, height=1, behind=behind)
    assert plain.shape == (240, 320, 3)
    assert plain.max() < 120
    written = rendering.notice("desk", "no such device", width=1, height=1, behind=behind)
    rows = np.flatnonzero((written != plain).any(axis=(1, 2)))
    assert 60 < rows.min() < rows.max() < 180


def test_a_long_reason_is_cut_to_fit():
    drawn = rendering.notice("door", "connection refused " * 40, width=320, height=240)
    ground = drawn[0, 0]
    columns = np.flatnonzero((drawn != ground).any(axis=(0, 2)))
    assert columns.min() >= 8
    assert columns.max() < 312


def test_withheld_images_are_encoded_once_and_show_nothing_of_the_frame():
    first, second = (rendering.withheld("desk", width=320, height=240, quality=80) for _ in "ab")
    assert first is second
    assert decoded(first).shape == (240, 320, 3)


coordinates, sides = st.floats(-900, 900), st.floats(0.1, 2000)
boxes = st.tuples(coordinates, coordinates, sides, sides)


@given(st.integers(1, 400), st.integers(1, 300), st.lists(boxes, max_size=3), st.booleans())
@settings(max_examples=60, deadline=None)
def test_any_face_in_any_image_can_be_hidden_marked_and_encoded(width, height, places, mirror):
    image = noise(width, height)
    before = image.copy()
    hidden = rendering.hide(image, places)
    drawn = rendering.draw(hidden, [face(*box) for box in places], mirror=mirror)
    assert decoded(encoding.jpeg(drawn, quality=80)).shape == image.shape
    assert rendering.notice("a", "b c", width=width, height=height).shape == image.shape
    np.testing.assert_array_equal(image, before)
