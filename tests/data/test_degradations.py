import numpy as np
import pytest

from fer_jax.data.degradations import (
    DEGRADATIONS,
    blurred,
    exposed,
    random_degradation,
    rotated,
    shadowed,
    shrunk,
)
from fer_jax.data.randomness import host_generator
from tests.factories import pattern_faces

FACES = pattern_faces(16).images


def generator(step: int = 0) -> np.random.Generator:
    return host_generator(0, "degrade", step)


@pytest.mark.parametrize("kind", sorted(DEGRADATIONS))
def test_every_kind_changes_a_face_and_depends_only_on_its_generator(kind):
    before = FACES[0].copy()
    once, again = (DEGRADATIONS[kind](FACES[0], generator(5)) for _ in range(2))
    assert once.shape == (48, 48)
    assert once.dtype == np.uint8
    assert not np.array_equal(once, before)
    np.testing.assert_array_equal(once, again)
    np.testing.assert_array_equal(FACES[0], before)


def test_light_is_scaled_and_clipped_at_white():
    ramp = np.tile(np.arange(0, 240, 5, dtype=np.uint8), (48, 1))
    np.testing.assert_array_equal(exposed(ramp, 2.0)[0, :25], 2 * ramp[0, :25])
    assert (exposed(ramp, 2.0)[0, 27:] == 255).all()


def test_a_shadow_falls_on_one_half_only():
    grey = np.full((48, 48), 200, np.uint8)
    dark = shadowed(grey, angle=0.0, light=0.25)
    assert (dark[:, :18] == 50).all()
    assert (dark[:, 30:] == 200).all()
    assert (shadowed(grey, angle=np.pi, light=0.25)[:, 30:] == 50).all()


def test_blur_and_small_images_lose_detail_but_keep_the_light():
    noise = np.random.default_rng(0).integers(0, 256, (48, 48), dtype=np.uint8)
    for less in (blurred(noise, 1.5), shrunk(noise, 20)):
        assert less.std() < 0.7 * noise.std()
        assert abs(float(less.mean()) - noise.mean()) < 2


def test_a_quarter_turn_matches_numpy():
    face = FACES[3]
    np.testing.assert_array_equal(rotated(face, 90.0), np.rot90(face))


def test_random_degradations_depend_on_the_generator_and_differ_between_faces():
    once = [random_degradation(face, generator(k)) for k, face in enumerate(FACES)]
    again = [random_degradation(face, generator(k)) for k, face in enumerate(FACES)]
    np.testing.assert_array_equal(once, again)
    changed = [not np.array_equal(*pair) for pair in zip(once, FACES, strict=True)]
    assert sum(changed) > len(FACES) // 2
