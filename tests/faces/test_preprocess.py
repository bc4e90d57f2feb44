import cv2
import numpy as np
import pytest

from fer_jax.faces.preprocess import grey_face


def test_a_face_of_the_right_size_is_left_as_it_is():
    face = np.random.default_rng(0).integers(0, 256, (48, 48), dtype=np.uint8)
    np.testing.assert_array_equal(grey_face(face), face)


@pytest.mark.parametrize(
    "shape", [(96, 96), (31, 77), (1, 1), (480, 640, 3), (20, 60, 4), (50, 50, 1)]
)
def test_any_size_and_colour_becomes_one_grey_face(shape):
    image = np.full(shape, 90, np.uint8)
    np.testing.assert_array_equal(grey_face(image), np.full((48, 48), 90, np.uint8))


def test_colour_is_weighted_as_in_bt_601():
    red, green, blue = (grey_face(np.full((48, 48, 3), c, np.uint8))[0, 0] for c in np.eye(3) * 255)
    assert (red, green, blue) == (76, 150, 29)


def test_a_grey_image_stored_as_colour_gives_the_same_input():
    face = np.random.default_rng(1).integers(0, 256, (60, 70), dtype=np.uint8)
    np.testing.assert_array_equal(
        grey_face(face), grey_face(cv2.cvtColor(face, cv2.COLOR_GRAY2RGB))
    )


def test_an_array_that_is_not_an_image_is_refused():
    with pytest.raises(ValueError, match="uint8"):
        grey_face(np.zeros((48, 48), np.float32))
    with pytest.raises(ValueError, match="got"):
        grey_face(np.zeros((48, 48, 2), np.uint8))
    with pytest.raises(ValueError, match="got"):
        grey_face(np.zeros((0, 48), np.uint8))
