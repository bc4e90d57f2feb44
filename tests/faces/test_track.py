from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_jax.faces.crop import crop_face
from fer_jax.faces.detect import Detection, make_detector
from fer_jax.faces.track import Appearance, Tracker, likeness, smooth
from fer_jax.media.video import VideoReader
from tests.faces.sample_media import photo, shared_media

RNG = np.random.default_rng(0)
# Three clearly distinct faces: coarse patterns that survive the reduction to an appearance.
PERSONS = [
    cv2.resize(
        RNG.integers(0, 256, (6, 6), dtype=np.uint8), (48, 48), interpolation=cv2.INTER_CUBIC
    )
    for _ in range(3)
]


def _at(x: float, y: float = 100, side: float = 80) -> Detection:
    return Detection(x - side / 2, y - side / 2, side, side, 0.9)


def _seen(person: np.ndarray) -> Appearance:
    """A person as seen by a camera: with noise and a different exposure each time."""
    noisy = person * RNG.uniform(0.9, 1.1) + RNG.normal(0, 8, person.shape)
    return Appearance.of(np.clip(noisy, 0, 255).astype(np.uint8))


@pytest.mark.parametrize("fps", [5, 30])
def test_two_faces_that_move_apart_keep_their_numbers_in_any_order(fps: int) -> None:
    tracker = Tracker()
    for k in range(3 * fps):
        left, right = _at(300 - 60 * k / fps), _at(420 + 60 * k / fps)
        swapped = k % 2 == 1
        numbers = tracker.update([right, left] if swapped else [left, right], k / fps)
        assert numbers == ([2, 1] if swapped else [1, 2])


def test_faces_that_cross_keep_their_numbers_by_motion_or_by_appearance() -> None:
    blind, seeing = Tracker(), Tracker()
    for k in range(24):  # near the middle each is closer to where the other was
        boxes = [_at(100 + 25 * k), _at(712 - 25 * k, y=104)]
        appearances = [_seen(PERSONS[0]), _seen(PERSONS[1])]
        assert blind.update(boxes, k / 30) == [1, 2]
        assert seeing.update(boxes, k / 30, appearances) == [1, 2]


def test_another_person_in_the_same_place_after_a_cut_is_a_new_track() -> None:
    tracker = Tracker()
    assert tracker.update([_at(200)], 0.0, [_seen(PERSONS[0])]) == [1]
    assert tracker.update([_at(202)], 0.1, [_seen(PERSONS[0])]) == [1]
    assert tracker.update([_at(204)], 0.2, [_seen(PERSONS[1])]) == [2]
    assert tracker.update([_at(206)], 0.3, [_seen(PERSONS[0])]) == [1]
    blind = Tracker()
    assert [blind.update([_at(200 + 2 * k)], k / 10) for k in range(4)] == [[1]] * 4


def test_a_face_that_jumps_is_found_again_only_by_appearance() -> None:
    tracker, blind = Tracker(), Tracker()
    for k, x in enumerate((200, 290)):
        numbers = tracker.update([_at(x)], k * 0.4, [_seen(PERSONS[2])])
        alone = blind.update([_at(x)], k * 0.4)
    assert numbers == [1]
    assert alone == [2]
    assert tracker.update([_at(357, y=190)], 0.8, [_seen(PERSONS[1])]) == [2]


def test_position_decides_where_appearances_are_missing() -> None:
    tracker = Tracker()
    assert tracker.update([_at(200)], 0.0, [_seen(PERSONS[0])]) == [1]
    assert tracker.update([_at(500), _at(203)], 0.1) == [2, 1]
    seen = [_seen(PERSONS[0]), _seen(PERSONS[1])]  # the second one has no appearance yet
    assert tracker.update([_at(206), _at(503)], 0.2, seen) == [1, 2]
    assert tracker.update([_at(509), _at(209)], 0.3, seen[::-1]) == [2, 1]


def test_a_track_survives_a_gap_and_ends_after_a_longer_one() -> None:
    tracker = Tracker(max_gap_s=0.5)
    assert tracker.update([_at(200)], 0.0) == [1]
    assert tracker.update([], 0.25) == []
    assert tracker.update([_at(200)], 0.5) == [1]
    assert tracker.alive == {1}
    assert tracker.update([], 1.01) == []
    assert tracker.alive == frozenset()
    assert tracker.update([_at(200)], 1.1) == [2]


def test_time_running_backwards_starts_over() -> None:
    tracker = Tracker()
    assert tracker.update([_at(200)], 5.0) == [1]
    assert tracker.update([_at(200)], 0.0) == [2]


@given(st.lists(st.lists(st.tuples(st.floats(0, 900), st.floats(1, 300)), max_size=5), max_size=8))
def test_no_two_faces_of_a_frame_ever_share_a_track(
    scene: list[list[tuple[float, float]]],
) -> None:
    tracker = Tracker()
    for k, places in enumerate(scene):
        numbers = tracker.update([_at(x, side=side) for x, side in places], k / 10)
        assert len(set(numbers)) == len(places)
        assert set(numbers) <= tracker.alive


def test_a_wrong_number_of_appearances_is_refused() -> None:
    with pytest.raises(ValueError, match="1 detections, 0 appearances"):
        Tracker().update([_at(0)], 0.0, [])


def test_a_face_is_more_like_itself_in_other_light_than_like_another() -> None:
    faces = [_seen(person) for person in PERSONS]
    again = [_seen(person) for person in PERSONS]
    alike = likeness(faces, again)
    assert alike.diagonal().min() > 0.8
    assert alike[~np.eye(3, dtype=bool)].max() < 0.5
    dark = Appearance.of((PERSONS[0] // 6).astype(np.uint8))
    assert likeness([dark], faces)[0, 0] < alike[0, 0] - 0.3


@given(first=st.floats(0, 3), second=st.floats(0, 3))
def test_smoothing_over_two_steps_equals_smoothing_over_their_sum(
    first: float, second: float
) -> None:
    before, now = np.eye(7)[0], np.eye(7)[3]
    twice = smooth(smooth(before, now, step_s=first), now, step_s=second)
    np.testing.assert_allclose(twice, smooth(before, now, step_s=first + second), atol=1e-12)
    assert twice.sum() == pytest.approx(1)


def test_smoothing_starts_at_the_first_value_and_forgets_with_its_time_constant() -> None:
    before, now = np.eye(7)[0], np.eye(7)[3]
    np.testing.assert_array_equal(smooth(None, now, step_s=9.0), now)
    np.testing.assert_array_equal(smooth(before, now, step_s=0.1, time_constant_s=0), now)
    after = smooth(before, now, step_s=2.0, time_constant_s=2.0)
    assert after[3] == pytest.approx(1 - np.exp(-1))


def test_a_moving_real_face_is_one_track_and_its_mirrored_stranger_another() -> None:
    detector, tracker = make_detector("yunet", detect_size=160), Tracker()
    scene = np.full((600, 1400, 3), 60, np.uint8)
    stranger = cv2.rotate(photo()[80:400, 130:400], cv2.ROTATE_180)
    numbers = []
    for k in range(8):
        frame = scene.copy()
        frame[:, 30 * k : 30 * k + 512] = photo()
        faces = detector.detect(frame)
        appearances = [Appearance.of(crop_face(frame, face)) for face in faces]
        numbers += tracker.update(faces, k / 10, appearances)
    assert numbers == [1] * 8
    last = dataclasses.replace(faces[0], landmarks=None)
    assert tracker.update([last], 0.8, [Appearance.of(stranger)]) == [2]


def test_tracks_in_a_shared_clip_end_at_its_cuts() -> None:
    detector, tracker = make_detector("yunet", detect_size=320), Tracker()
    scenes: dict[int, set[int]] = {}
    count = 0
    with VideoReader(shared_media("hamilton_clip.mp4"), every=3) as video:
        for frame in video:
            faces = detector.detect(frame.image)
            appearances = [Appearance.of(crop_face(frame.image, face)) for face in faces]
            scene = sum(frame.index >= cut for cut in (82, 211))
            for number in tracker.update(faces, frame.time_s, appearances):
                scenes.setdefault(number, set()).add(scene)
                count += 1
    assert all(len(seen) == 1 for seen in scenes.values())
    assert count > 150
    assert len(scenes) < 30
