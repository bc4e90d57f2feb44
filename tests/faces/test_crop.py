from __future__ import annotations

import dataclasses
import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measure_crop import measure

from fer_jax.data.faces import Faces
from fer_jax.errors import FerError
from fer_jax.faces.crop import (
    BOX_CENTRE,
    BOX_SIDE,
    EYES,
    Align,
    Square,
    crop_face,
    cut,
    grey_crop,
    square_of,
)
from fer_jax.faces.detect import Detection, make_detector
from fer_jax.faces.preprocess import FACE_SIZE, grey_face
from tests.faces.sample_media import photo

FACE = make_detector("yunet").detect(photo())[0]
ANGLES = st.floats(-0.6, 0.6)
NUMBERS = st.floats(-2000, 2000)
SIDES = st.floats(0, 3000)


def _moved(face: Detection, matrix: np.ndarray) -> Detection:
    """The detection in an image rotated, scaled and moved by float [2, 3]."""
    assert face.landmarks is not None
    scale = math.hypot(matrix[0, 0], matrix[1, 0])
    x, y = matrix @ [face.x + face.width / 2, face.y + face.height / 2, 1]
    landmarks = face.landmarks @ matrix[:, :2].T + matrix[:, 2]
    width, height = face.width * scale, face.height * scale
    return dataclasses.replace(
        face,
        x=x - width / 2,
        y=y - height / 2,
        width=width,
        height=height,
        landmarks=landmarks.astype(np.float32),
    )


def to_crop(square: Square, points: np.ndarray) -> np.ndarray:
    """Maps the photograph's pixels, float [N, 2], to the crop's 0 to 1."""
    cos, sin = np.cos(square.roll), np.sin(square.roll)
    turn = np.array([[cos, -sin], [sin, cos]])
    return (points - [square.x, square.y]) @ turn / square.side + 0.5


@given(x=NUMBERS, y=NUMBERS, side=st.floats(1, 3000), roll=st.floats(-3.1, 3.1))
@settings(deadline=None)
def test_mapping_to_the_crop_and_back_changes_nothing(
    x: float, y: float, side: float, roll: float
) -> None:
    square = Square(x, y, side, roll)
    points = np.random.default_rng(0).uniform(-1, 2, (20, 2))
    np.testing.assert_allclose(to_crop(square, square.to_image(points)), points, atol=1e-6)


def test_the_eyes_are_level_and_placed_as_in_a_training_image() -> None:
    turned = cv2.getRotationMatrix2D((256, 300), 25, 1.0)
    square = square_of(_moved(FACE, turned))
    landmarks = _moved(FACE, turned).landmarks
    assert landmarks is not None
    left, right = to_crop(square, landmarks[:2].astype(float))
    assert abs(left[1] - right[1]) < 0.03
    assert np.abs((left + right) / 2 - EYES).max() < 0.04


@given(angle=ANGLES, scale=st.floats(0.5, 1.6), dx=st.floats(-40, 40), dy=st.floats(-40, 40))
@settings(deadline=None, max_examples=40)
def test_a_crop_is_the_same_however_the_image_is_rotated_scaled_and_moved(
    angle: float, scale: float, dx: float, dy: float
) -> None:
    matrix = cv2.getRotationMatrix2D((256, 300), math.degrees(angle), scale)
    matrix[:, 2] += dx, dy
    # Pixel (0, 0) covers 0 to 1 in our coordinates and is at 0 in OpenCV's.
    shift = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    opencv = (np.linalg.inv(shift) @ np.vstack([matrix, [0, 0, 1]]) @ shift)[:2]
    canvas = cv2.warpAffine(
        photo(), opencv, (512, 600), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE
    )
    straight = crop_face(photo(), FACE, size=48).astype(float)
    again = crop_face(canvas, _moved(FACE, matrix), size=48).astype(float)
    middle = (slice(12, 36), slice(12, 36))  # where neither image's border can reach
    assert np.abs(straight - again)[middle].mean() < 7


@given(
    shape=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    colour=st.booleans(),
    box=st.tuples(NUMBERS, NUMBERS, SIDES, SIDES),
    points=st.none() | st.lists(NUMBERS, min_size=10, max_size=10),
    size=st.integers(8, 100),
    align=st.sampled_from(["landmarks", "box"]),
)
@settings(deadline=None)
def test_any_box_inside_or_outside_any_image_gives_a_crop_of_the_right_shape(
    shape: tuple[int, int],
    colour: bool,
    box: tuple[float, float, float, float],
    points: list[float] | None,
    size: int,
    align: Align,
) -> None:
    landmarks = None if points is None else np.array(points, np.float32).reshape(5, 2)
    image = np.full((*shape, 3) if colour else shape, 77, np.uint8)
    crop = crop_face(image, Detection(*box, 0.9, landmarks), align=align, size=size)
    assert crop.shape == ((size, size, 3) if colour else (size, size))
    assert crop.dtype == np.uint8
    assert (crop == 77).all()


def test_a_box_maps_to_the_square_in_which_training_boxes_lie() -> None:
    square = square_of(Detection(100, 200, 60, 80, 0.9))
    assert square.roll == 0
    low, high = to_crop(square, np.array([[100.0, 200.0], [160.0, 280.0]]))
    assert np.allclose((low + high) / 2, BOX_CENTRE)
    assert np.prod(high - low) == pytest.approx(BOX_SIDE**2)


def test_pixels_beyond_the_border_repeat_the_last_ones() -> None:
    ramp = np.tile(np.arange(100, 200, dtype=np.uint8), (100, 1))
    crop = cut(ramp, Square(100, 50, 100), size=50)
    assert (crop[:, 26:] == 199).all()
    np.testing.assert_allclose(crop[25, :25], np.arange(150, 200, 2) + 0.5, atol=1)


@pytest.mark.parametrize("roll", [0.0, 0.3])
def test_fine_stripes_average_to_grey_and_do_not_alias(roll: float) -> None:
    stripes = np.zeros((900, 900), np.uint8)
    stripes[:, ::2] = 255
    crop = cut(stripes, Square(450, 450, 600, roll), size=48)
    assert crop.std() < 6  # of 127; sampling without averaging leaves 60 and more
    assert abs(float(crop.mean()) - 127.5) < 3


def test_a_ready_made_crop_passes_through_unchanged() -> None:
    face = np.random.default_rng(0).integers(0, 256, (FACE_SIZE, FACE_SIZE), dtype=np.uint8)
    (detection,) = make_detector("none").detect(face)
    np.testing.assert_array_equal(grey_face(crop_face(face, detection)), face)
    (detection,) = make_detector("none").detect(photo())
    np.testing.assert_array_equal(crop_face(photo(), detection), photo())
    np.testing.assert_array_equal(grey_crop(photo(), detection), grey_face(photo()))


@pytest.mark.parametrize("align", ["landmarks", "box"])
@pytest.mark.parametrize("scale", [0.2, 1.0])
def test_cropping_in_grey_gives_the_crop_converted_to_grey(scale: float, align: Align) -> None:
    matrix = np.array([[scale, 0, 0], [0, scale, 0]])
    canvas = cv2.warpAffine(photo(), matrix, (512, 600), flags=cv2.INTER_AREA)
    face = _moved(FACE, matrix)
    found, expected = grey_crop(canvas, face, align=align), crop_face(canvas, face, align=align)
    difference = np.abs(found.astype(float) - grey_face(expected))
    assert found.shape == (FACE_SIZE, FACE_SIZE)
    assert found.std() > 20
    assert difference.max() <= 4
    assert difference.mean() < 0.5


def test_the_network_sees_the_same_face_from_a_crop_of_any_size() -> None:
    small, large = (grey_face(crop_face(photo(), FACE, size=size)) for size in (48, 96))
    assert np.abs(small.astype(float) - large).mean() < 2


def test_the_measuring_command_recovers_the_constants_of_our_crops() -> None:
    generator = np.random.default_rng(0)
    crops = []
    for k in range(60):
        scale = generator.uniform(0.5, 1.0)
        matrix = np.array(
            [[scale, 0, generator.uniform(0, 20)], [0, scale, generator.uniform(0, 20)]]
        )
        canvas = cv2.warpAffine(photo(), matrix, (512, 600), borderMode=cv2.BORDER_REPLICATE)
        crop = grey_face(crop_face(canvas, _moved(FACE, matrix)))
        crops.append(crop[:, ::-1] if k % 2 else crop)
    faces = Faces(np.stack(crops), np.arange(60, dtype=np.int32) % 7, ("",) * 60)
    report = measure(faces)
    assert report["found"] == 1
    middle = report["median"]
    assert (middle["eyes_x"], middle["eyes_y"]) == pytest.approx(EYES, abs=0.04)
    assert (middle["box_x"], middle["box_y"]) == pytest.approx(BOX_CENTRE, abs=0.04)
    assert middle["box_side"] == pytest.approx(BOX_SIDE, rel=0.1)


def test_images_in_which_no_face_is_found_cannot_be_measured() -> None:
    blank = Faces(np.zeros((9, 48, 48), np.uint8), np.zeros(9, np.int32), ("",) * 9)
    with pytest.raises(FerError, match="found in 0 of 9 images"):
        measure(blank)
