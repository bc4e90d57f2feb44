import numpy as np

from fer_jax.config import AugmentConfig
from fer_jax.randomness import host_generator
from fer_jax.training.augment import augment, warp_matrices
from tests.factories import pattern_faces

STILL = AugmentConfig(
    flip=False, rotate_degrees=0, scale=0, shear=0, translate=0, gamma=0, erase_probability=0
)


def generator(step: int = 0):
    return host_generator(0, "augment", step)


def test_with_all_amounts_zero_nothing_changes():
    faces = pattern_faces(8).images
    np.testing.assert_array_equal(augment(faces, generator(), config=STILL), faces)


def test_a_step_alone_decides_what_is_drawn():
    faces = pattern_faces(8).images
    before = faces.copy()
    once = augment(faces, generator(5), config=AugmentConfig())
    np.testing.assert_array_equal(once, augment(faces, generator(5), config=AugmentConfig()))
    assert not np.array_equal(once, augment(faces, generator(6), config=AugmentConfig()))
    np.testing.assert_array_equal(faces, before)


def test_half_of_the_faces_are_mirrored_about_their_own_axis():
    mirror = AugmentConfig(**{**vars(STILL), "flip": True})
    faces = np.random.default_rng(0).integers(0, 256, (64, 48, 48), dtype=np.uint8)
    varied = augment(faces, generator(), config=mirror)
    same = [np.array_equal(a, b) for a, b in zip(varied, faces, strict=True)]
    flipped = [np.array_equal(a, b[:, ::-1]) for a, b in zip(varied, faces, strict=True)]
    assert all(a or b for a, b in zip(same, flipped, strict=True))
    assert 16 < sum(flipped) < 48


def test_the_warps_keep_to_the_amounts_configured():
    config = AugmentConfig(flip=False, rotate_degrees=10, scale=0.1, shear=0, translate=0.05)
    matrices = warp_matrices(500, generator(), config=config)
    angle = np.degrees(np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0]))
    zoom = np.hypot(matrices[:, 0, 0], matrices[:, 1, 0])
    shift = matrices @ np.array([23.5, 23.5, 1.0]) - 23.5
    assert 9 < np.abs(angle).max() <= 10
    assert 1.09 < zoom.max() <= 1.1
    assert 2 < np.abs(shift).max() <= 0.05 * 48 + 1e-9


def test_erasing_covers_at_most_the_area_configured():
    config = AugmentConfig(**{**vars(STILL), "erase_probability": 1.0, "erase_area": 0.2})
    faces = np.full((200, 48, 48), 256 // 2, np.uint8)
    changed = (augment(faces, generator(), config=config) != faces).mean(axis=(1, 2))
    assert changed.min() > 0.01
    assert changed.max() < 0.23
