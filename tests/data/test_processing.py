"""Processed sets of faces are reported, original ones are not."""

import cv2
import numpy as np
import pytest

from fer_jax.data.datasets import evaluation_split
from fer_jax.data.degradations import blurred, compressed, shrunk
from fer_jax.data.processing import differences, processing, sentence, worst
from fer_jax.data.synthetic import load_synthetic
from fer_jax.data.traces import statistics, unevenness
from tests.shared_files import shared_file


def brightened(image):
    return np.clip(image * 1.2, 0, 255).astype(np.uint8)


def stretched(image):
    low, high = int(image.min()), int(image.max())
    return np.rint((image.astype(float) - low) / max(high - low, 1) * 255).astype(np.uint8)


DAMAGE = {
    "brightened": (brightened, {"clipped", "combed"}),
    "equalised": (cv2.equalizeHist, {"equalised", "stretched"}),
    "the old copy of FER2013": (
        lambda image: cv2.equalizeHist(brightened(image)),
        {"clipped", "equalised", "stretched"},
    ),
    "stretched": (stretched, {"stretched"}),
    "JPEG 75": (lambda image: compressed(image, 75), {"jpeg"}),
    "JPEG 40": (lambda image: compressed(image, 40), {"jpeg"}),
    "blurred": (lambda image: blurred(image, 1.0), {"blurred"}),
    "a little blurred": (lambda image: blurred(image, 0.7), {"blurred"}),
    "of 24 pixels": (lambda image: shrunk(image, 24), {"enlarged"}),
    "of 32 pixels": (lambda image: shrunk(image, 32), {"enlarged"}),
    "of 20 pixels": (lambda image: shrunk(image, 20), {"enlarged"}),
    "inverted": (lambda image: 255 - image, {"inverted"}),
}


@pytest.fixture(scope="module", params=["synthetic", "FER2013"])
def originals(request):
    if request.param == "synthetic":
        return load_synthetic(seed=0, counts={"train": 300}).splits["train"].images
    return evaluation_split(shared_file("data/fer2013.tar.xz"), "validation").images[::4]


def test_original_faces_get_no_verdict(originals):
    assert processing(originals)["verdicts"] == {}
    assert processing(originals[:100])["verdicts"] == {}
    assert sentence(processing(originals)) == "no trace of processing"


@pytest.mark.parametrize("kind", DAMAGE)
def test_each_kind_of_damage_is_named(originals, kind):
    damage, named = DAMAGE[kind]
    found = processing(np.stack([damage(image) for image in originals]))
    assert set(found["verdicts"]) == named
    assert all(name in sentence(found) for name in named)


def test_traces_of_jpeg_are_expected_in_jpeg_files(originals):
    images = np.stack([compressed(image, 60) for image in originals])
    names = [f"train/happy/{n}.jpg" for n in range(len(images))]
    assert processing(images, names)["verdicts"] == {}
    assert "jpeg" in processing(images, [name[:-3] + "png" for name in names])["verdicts"]


def test_a_few_images_say_nothing_about_a_set(originals):
    assert processing(255 - originals[:20])["verdicts"] == {}


def test_the_worst_faces_are_the_ones_that_were_damaged(originals):
    images = originals[:60].copy()
    images[3], images[10] = cv2.equalizeHist(images[3]), cv2.equalizeHist(images[10])
    assert set(worst(images, "equalised", count=2).tolist()) == {3, 10}
    images = originals[:60].copy()
    images[12] = blurred(images[12], 4.0)
    assert worst(images, "blurred", count=1).tolist() == [12]


def test_a_difference_from_the_training_faces_is_described(originals):
    plain, soft = (
        processing(np.stack([damage(image) for image in originals[:100]]))
        for damage in (lambda image: image, lambda image: blurred(image, 1.0))
    )
    assert differences(plain, plain) == differences(soft, soft) == differences(None, plain) == ""
    assert differences(plain, soft) == differences(None, soft) == "these faces are blurred"
    assert differences(soft, plain) == "the training faces were blurred"


def test_an_image_whose_levels_are_spread_evenly_has_no_unevenness():
    even = np.full(256, 9)
    one_level = np.eye(256, dtype=int)[100] * 2304
    found = unevenness(np.stack([even, one_level]))
    assert found[0] < 0.005
    assert found[1] == pytest.approx(1 - 100 / 255)


def test_shares_of_black_and_white_are_counted_in_pixels():
    images = np.full((2, 48, 48), 128, np.uint8)
    images[0, :12], images[1, :24] = 0, 255
    found = statistics(images)
    assert (found.black, found.white, found.images) == (0.125, 0.25, 2)
