"""Faces that show too little to be classified, and the reasons."""

import numpy as np
import pytest
from scipy import ndimage

from fer_jax.data.degradations import blurred, contrasted, exposed, shrunk
from fer_jax.data.synthetic import load_synthetic
from fer_jax.faces import quality
from fer_jax.faces.crop import grey_crop
from fer_jax.faces.detect import Detection
from fer_jax.faces.quality import face_quality, judge, measure
from tests.shared_files import shared_file

FACES = load_synthetic(seed=0, counts={"train": 40}).splits["train"].images


def qualities(images, *, side=48.0):
    return [judge(measure(image, side=side)) for image in images]


def test_drawn_faces_can_be_read():
    assert set(qualities(FACES)) == {"ok"}


def test_each_damage_is_named():
    assert set(qualities([exposed(face, 0.04) for face in FACES])) == {"dark"}
    assert set(qualities([contrasted(face, 0.03) for face in FACES])) == {"flat"}
    assert set(qualities([blurred(face, 9.0) for face in FACES])) == {"blurred"}
    assert set(qualities([shrunk(face, 6) for face in FACES], side=6)) == {"small"}


def test_sharpness_is_what_a_one_pixel_blur_removes():
    face = FACES[0].astype(np.float32)
    lost = face - ndimage.gaussian_filter(face, 1.0, mode="mirror", truncate=2)
    measured = measure(FACES[0], side=48)
    assert measured.sharpness == pytest.approx(lost.std() / face.std(), rel=2e-3)
    assert measured.light == pytest.approx(face.mean(), rel=1e-5)
    assert measured.contrast == pytest.approx(face.std(), rel=1e-5)


def test_a_face_mostly_outside_the_image_is_cut():
    image = np.tile(np.random.default_rng(0).integers(0, 256, (200, 200, 1), np.uint8), (1, 1, 3))

    def at(x):
        found = Detection(x, 60.0, 70.0, 80.0, score=0.9)
        return face_quality(grey_crop(image, found), found, width=200, height=200)

    assert at(60.0) == at(-10.0) == "ok"
    assert at(-60.0) == at(185.0) == "cut"


def test_a_face_of_few_real_pixels_is_small_however_large_its_crop():
    image = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)

    def of(side, *, is_crop=False):
        found = Detection(50.0, 50.0, side, side, score=0.9, is_crop=is_crop)
        return face_quality(grey_crop(image, found), found, width=200, height=200)

    assert of(7.0) == of(7.0, is_crop=True) == "small"
    assert of(20.0) == of(20.0, is_crop=True) == "ok"


@pytest.mark.long
def test_fewer_than_one_plain_face_in_two_hundred_is_rejected():
    from fer_jax.data.datasets import evaluation_split

    faces = evaluation_split(shared_file("data/fer2013.tar.xz"), "validation")
    told = qualities(faces.images)
    assert sum(each != "ok" for each in told) < 0.005 * len(told)
    limits = ("LIGHT", "CONTRAST", "SIDE", "SHARPNESS", "IN_VIEW")
    assert all(getattr(quality, f"LEAST_{limit}") > 0 for limit in limits)
