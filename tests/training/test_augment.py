import cv2
import numpy as np

from fer_jax.config import AugmentConfig, ResolutionConfig
from fer_jax.data.randomness import host_generator
from fer_jax.machine import sharding
from fer_jax.training.augment import augment, warp_matrices
from fer_jax.training.plan import training_batch
from fer_jax.training.program import assemble
from fer_jax.training.resolution import face_size, resized
from tests.factories import pattern_faces, short_config

STILL = AugmentConfig(
    flip=False, rotate_degrees=0, scale=0, shear=0, translate=0, gamma=0, erase_probability=0
)


def generator(step: int = 0):
    return host_generator(0, "augment", step)


def test_with_all_amounts_zero_nothing_changes():
    faces = pattern_faces(8).images
    np.testing.assert_array_equal(augment(faces, generator(), config=STILL), faces)


def test_augmentation_depends_only_on_the_step():
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


def test_the_warps_stay_within_the_configured_amounts():
    config = AugmentConfig(flip=False, rotate_degrees=10, scale=0.1, shear=0, translate=0.05)
    matrices = warp_matrices(500, generator(), config=config)
    angle = np.degrees(np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0]))
    zoom = np.hypot(matrices[:, 0, 0], matrices[:, 1, 0])
    shift = matrices @ np.array([23.5, 23.5, 1.0]) - 23.5
    assert 9 < np.abs(angle).max() <= 10
    assert 1.09 < zoom.max() <= 1.1
    assert 2 < np.abs(shift).max() <= 0.05 * 48 + 1e-9


def test_erasing_covers_at_most_the_configured_area():
    config = AugmentConfig(**{**vars(STILL), "erase_probability": 1.0, "erase_area": 0.2})
    faces = np.full((200, 48, 48), 256 // 2, np.uint8)
    changed = (augment(faces, generator(), config=config) != faces).mean(axis=(1, 2))
    assert changed.min() > 0.01
    assert changed.max() < 0.23


def test_smaller_faces_are_the_same_faces_seen_from_further_away():
    faces = np.stack([cv2.GaussianBlur(face, (0, 0), 3) for face in pattern_faces(8).images])
    config = AugmentConfig(erase_probability=0)
    small = augment(faces, generator(), config=config, size=32)
    full = resized(augment(faces, generator(), config=config), 32)
    assert small.shape == (8, 32, 32)
    inner = (slice(None), slice(4, -4), slice(4, -4))
    assert np.abs(small[inner].astype(int) - full[inner]).mean() < 1.5


def test_faces_grow_in_equal_steps_and_stay_at_full_size():
    config = ResolutionConfig(start=32, grow_over=0.5)
    sizes = [face_size(step, total_steps=100, config=config) for step in range(100)]
    assert sizes == [32] * 25 + [40] * 25 + [48] * 50
    whole = ResolutionConfig()
    assert {face_size(step, total_steps=100, config=whole) for step in range(100)} == {48}


def test_a_process_augments_its_rows_as_one_process_with_all_rows_does():
    config = short_config(augment__camera=0.5)
    plan = assemble(
        config,
        train=pattern_faces(40),
        validation=pattern_faces(7),
        mesh=sharding.data_mesh(devices=1, batch_size=16),
    ).plan
    every = training_batch(plan, 3)
    for rows in (slice(0, 8), slice(8, 16)):
        for whole, own in zip(every, training_batch(plan, 3, rows=rows), strict=True):
            np.testing.assert_array_equal(own, whole[rows])
