from __future__ import annotations

import numpy as np
import pytest

from fer_jax.expressions import EXPRESSIONS
from fer_jax.faces.detect import Detection
from fer_jax.faces.quality import Quality
from fer_jax.faces.track import Appearance
from server.live.analysis import TrackedFace
from server.live.labels import Labels

FPS = 30.0


def shares(**parts: float) -> np.ndarray:
    """Probabilities; the remainder is spread over the other expressions."""
    rest = (1 - sum(parts.values())) / (7 - len(parts))
    return np.array([parts.get(name, rest) for name in EXPRESSIONS], np.float32)


def face(x: float = 100.0) -> Detection:
    return Detection(x, 100.0, 80.0, 100.0, score=0.9)


def appearance(seed: int = 0) -> Appearance:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6), dtype=np.uint8)
    return Appearance.of(np.kron(coarse, np.ones((8, 8), np.uint8)))


class Camera:
    """One face, frame by frame."""

    def __init__(self, *, smoothing_s: float = 0.5, fps: float = FPS) -> None:
        self.labels, self.time_s = Labels(), 0.0
        self._smoothing_s, self._step_s = smoothing_s, 1 / fps

    def see(
        self,
        probabilities: np.ndarray,
        *,
        uncertain_below: float = 0.0,
        quality: Quality = "ok",
    ) -> TrackedFace:
        self.time_s += self._step_s
        (found,) = self.labels.update(
            [face()],
            [appearance()],
            [quality],
            probabilities[None],
            self.time_s,
            smoothing_s=self._smoothing_s,
            uncertain_below=uncertain_below,
        )
        return found


def test_a_label_does_not_flicker_between_two_likely_expressions():
    camera, rng = Camera(), np.random.default_rng(0)
    camera.see(shares(happy=0.46, neutral=0.44))
    raw_winners, shown = set(), set()
    for _ in range(300):
        noise = rng.normal(0, 0.1)
        found = camera.see(shares(happy=0.45 + noise, neutral=0.45 - noise))
        raw_winners.add(int(found.raw.argmax()))
        shown.add(found.expression)
    assert len(raw_winners) == 2
    assert shown == {"happy"}


def test_a_clear_change_shows_within_the_time_constant():
    camera = Camera(smoothing_s=0.5)
    for _ in range(30):
        camera.see(shares(neutral=0.9))
    begins = camera.time_s
    while camera.see(shares(surprise=0.9)).expression != "surprise":
        assert camera.time_s - begins < 0.5
    assert camera.time_s - begins > 0.1


def test_an_expression_that_leads_narrowly_for_long_becomes_the_label():
    camera = Camera(smoothing_s=0)
    camera.see(shares(happy=0.5, neutral=0.44))
    begins = camera.time_s
    while camera.see(shares(happy=0.45, neutral=0.5)).expression != "neutral":
        assert camera.time_s - begins < 2
    assert camera.time_s - begins > 0.9


def test_raw_probabilities_stay_and_smoothed_ones_follow_them():
    camera = Camera(smoothing_s=0.5)
    first = camera.see(shares(sad=0.9))
    np.testing.assert_array_equal(first.probabilities, first.raw)
    second = camera.see(shares(fear=0.9))
    np.testing.assert_array_equal(second.raw, shares(fear=0.9))
    sad, fear = (EXPRESSIONS.index(name) for name in ("sad", "fear"))
    assert second.probabilities[sad] > second.probabilities[fear] > first.probabilities[fear]
    assert second.probabilities.sum() == pytest.approx(1, abs=1e-5)
    assert second.confidence == pytest.approx(second.probabilities[sad])


def test_nothing_is_smoothed_when_the_time_constant_is_zero():
    camera = Camera(smoothing_s=0)
    camera.see(shares(sad=0.9))
    found = camera.see(shares(fear=0.9))
    np.testing.assert_array_equal(found.probabilities, found.raw)
    assert found.expression == "fear"


def test_a_face_is_uncertain_below_the_threshold():
    camera = Camera()
    assert camera.see(shares(sad=0.6), uncertain_below=0.7).uncertain
    assert not camera.see(shares(sad=0.6), uncertain_below=0.5).uncertain


def test_tracks_outlive_the_one_frame_a_second_of_an_unwatched_camera():
    camera = Camera(fps=0.9)
    assert {camera.see(shares(sad=0.6)).track for _ in range(5)} == {1}


def test_two_faces_keep_their_own_labels_in_the_detectors_order():
    labels = Labels()
    faces = [
        (face(100.0), appearance(1), shares(happy=0.9)),
        (face(400.0), appearance(2), shares(angry=0.9)),
    ]
    for k in range(10):
        order = faces if k % 2 else faces[::-1]
        detections, appearances, probabilities = zip(*order, strict=True)
        found = labels.update(
            detections,
            appearances,
            ["ok", "ok"],
            np.stack(probabilities),
            k / FPS,
            smoothing_s=0.5,
            uncertain_below=0.5,
        )
        assert [(f.box[0], f.expression) for f in found] == [
            (d.x, "happy" if d.x == 100.0 else "angry") for d in detections
        ]
    assert {f.track for f in found} == {1, 2}


def test_an_unreadable_face_is_uncertain_and_has_a_reason():
    camera = Camera()
    assert not camera.see(shares(sad=0.9)).uncertain
    dark = camera.see(shares(sad=0.9), quality="dark")
    assert (dark.quality, dark.uncertain) == ("dark", True)
    light = camera.see(shares(sad=0.9))
    assert (light.quality, light.uncertain) == ("ok", False)


def test_a_lost_face_is_remembered_for_a_second():
    camera = Camera()
    camera.see(shares(sad=0.9))
    assert camera.labels.lost(camera.time_s) == ()

    def nothing(time_s: float) -> None:
        camera.labels.update(
            [], [], [], np.empty((0, 7), np.float32), time_s, smoothing_s=0.5, uncertain_below=0.5
        )

    nothing(camera.time_s + 0.5)
    assert camera.labels.lost(camera.time_s + 0.5) == ((100.0, 100.0, 80.0, 100.0),)
    nothing(camera.time_s + 1.2)
    assert camera.labels.lost(camera.time_s + 1.2) == ()
