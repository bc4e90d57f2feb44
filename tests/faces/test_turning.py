"""Images on their sides: faces found in the original's pixels and cropped upright."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from fer_jax.faces.crop import grey_crop
from fer_jax.faces.detect import Detection, HaarDetector, YuNetDetector
from fer_jax.faces.turning import TurningDetector
from fer_jax.media.decoder import Decoder
from fer_jax.scoring.find_faces import find_faces
from fer_jax.scoring.views import View
from tests.faces.sample_media import photo

LAID = {1: cv2.ROTATE_90_COUNTERCLOCKWISE, 2: cv2.ROTATE_180, 3: cv2.ROTATE_90_CLOCKWISE}


def box(face: Detection) -> tuple[float, float, float, float]:
    return face.x, face.y, face.width, face.height


@pytest.mark.parametrize(
    ("make", "turns"),
    [(YuNetDetector, 1), (YuNetDetector, 2), (YuNetDetector, 3), (HaarDetector, 3)],
)
def test_a_face_on_its_side_gives_the_crop_of_the_upright_one(make, turns: int) -> None:
    detector, image = make(), photo()
    (upright,) = detector.detect(image)
    laid = cv2.rotate(image, LAID[turns])
    found = TurningDetector(detector).detect(laid)
    assert [face.turns for face in found] == [turns]
    crop, expected = grey_crop(laid, found[0]), grey_crop(image, upright)
    assert np.abs(crop.astype(int) - expected).mean() < 2
    drawn = np.zeros(laid.shape[:2], np.uint8)
    x, y, width, height = map(round, box(found[0]))
    drawn[y : y + height, x : x + width] = 255
    back = cv2.rotate(drawn, {1: 0, 2: 1, 3: 2}[turns])
    x, y, width, height = map(round, box(upright))
    assert cv2.boundingRect(back) == pytest.approx((x, y, width, height), abs=2)


def test_an_upright_image_is_searched_once_and_left_unchanged() -> None:
    looks = []

    class Counting(YuNetDetector):
        def detect(self, image: np.ndarray) -> list[Detection]:
            looks.append(image.shape)
            return super().detect(image)

    (face,) = TurningDetector(Counting()).detect(photo())
    assert (face.turns, len(looks)) == (0, 1)
    assert TurningDetector(Counting()).detect(np.full((200, 300, 3), 128, np.uint8)) == []
    assert len(looks) == 5


def test_rows_name_the_turn_and_hold_the_box_in_the_original_image(tmp_path) -> None:
    laid = cv2.rotate(photo(), LAID[1])
    cv2.imwrite(str(tmp_path / "a.png"), laid[..., ::-1])
    view = View(tmp_path / "a.png")
    with Decoder() as decoder:
        find_faces(view, YuNetDetector(), decoder, rotate=True)
    assert view.note == "its faces stand upright after a turn of 90 degrees clockwise"
    assert view.size == (laid.shape[1], laid.shape[0])
    (face,) = view.faces
    # The upright face's centre is at about (265, 220) of 512 x 600.
    assert face.detection.x < 220 < face.detection.x + face.detection.width
    assert face.detection.y < 512 - 265 < face.detection.y + face.detection.height
