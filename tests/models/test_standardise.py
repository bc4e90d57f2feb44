import numpy as np

from fer_jax.models.standardise import standardise


def test_the_network_does_not_see_brightness_or_contrast():
    rng = np.random.default_rng(2)
    face = rng.integers(60, 120, (1, 48, 48)).astype(np.uint8)
    np.testing.assert_allclose(standardise(face), standardise(face * 2 + 9), atol=1e-5)


def test_a_blank_face_becomes_zeros_and_not_nan():
    assert not np.asarray(standardise(np.full((1, 48, 48), 7, np.uint8))).any()
