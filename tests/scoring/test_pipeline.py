from __future__ import annotations

import dataclasses
import functools
import itertools
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fer_jax.faces.detect import Detection, make_detector
from fer_jax.media.video import Video, VideoReader
from fer_jax.media.video_decoder import VideoDecoder
from fer_jax.scoring.accounting import Accountant
from fer_jax.scoring.pipeline import ScoringPipeline
from fer_jax.scoring.rows import path_text
from fer_jax.scoring.stages import Stages
from fer_jax.scoring.summary import Summary
from fer_jax.scoring.summary_page import page
from fer_jax.scoring.views import View, views
from tests.faces.sample_media import PHOTO, frames, photo, shared_media, write_video
from tests.media.sample_videos import EVERY_FRAME_WHOLE, encode, without_jpeg
from tests.shared_files import shared_file

SIZE = 4


@dataclasses.dataclass
class Brightness:
    """A stand-in for a network: a face's confidence is its brightness, so each is unique."""

    crops: np.ndarray

    @property
    def confidence(self) -> np.ndarray:
        return self.crops.mean(axis=(1, 2), dtype=np.float32) / 255

    @property
    def probabilities(self) -> np.ndarray:
        rest = (1 - self.confidence) / 6
        return np.stack([self.confidence, *[rest] * 6], axis=1)

    @property
    def uncertain(self) -> np.ndarray:
        return self.confidence < 0.5


def stages(**changes: object) -> Stages:
    usual = Stages(
        detector=make_detector("none"),
        recognise=Brightness,
        batch_size=SIZE,
        max_pixels=1_000_000,
        threads=3,
    )
    return dataclasses.replace(usual, **changes)


def source(paths: list[Path]) -> Iterator[View]:
    return views(paths, VideoReader)


def flat(pipeline: ScoringPipeline) -> Iterator[View]:
    return itertools.chain.from_iterable(pipeline)


def run(paths: list[Path], **changes: object) -> list[View]:
    with ScoringPipeline(source(paths), stages(**changes)) as pipeline:
        return list(flat(pipeline))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> dict[str, Path]:
    """An input of every kind, by name; the name holds the face's grey level, "crowd" has many faces."""
    folder = tmp_path_factory.mktemp("inputs")
    made = {}
    for level in (10, 120, 250):
        made[f"grey {level}"] = folder / f"grey {level}.png"
        cv2.imwrite(str(made[f"grey {level}"]), np.full((48, 48), level, np.uint8))
    made["text"] = folder / "text.jpg"
    made["text"].write_text("no image")
    made["missing"] = folder / "missing.png"
    made["crowd"] = folder / "crowd.png"
    cv2.imwrite(str(made["crowd"]), np.full((48, 48 * 11), 77, np.uint8))
    made["empty"] = folder / "empty.png"
    cv2.imwrite(str(made["empty"]), np.zeros((8, 8), np.uint8))
    made["video"] = write_video(folder / "video.avi", frames(5), codec="MJPG", fps=10)
    return made


class Squares:
    """A detector that treats every 48 x 48 square of an image as a face."""

    def detect(self, image: np.ndarray) -> list[Detection]:
        return [
            Detection(48.0 * n, 0.0, 48.0, 48.0, score=1.0, is_crop=True)
            for n in range(image.shape[1] // 48)
        ]


@given(st.lists(st.integers(0, 7), max_size=40), st.integers(1, 9), st.integers(1, 4))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_input_has_its_own_rows_in_order(inputs, chosen, batch_size, threads):
    names = [list(inputs)[n] for n in chosen]
    paths = [inputs[name] for name in names]
    accountant = Accountant()
    taken = []
    changes = {"detector": Squares(), "batch_size": batch_size, "threads": threads}
    with ScoringPipeline(source(paths), stages(**changes)) as pipeline:
        rows = []
        for view in flat(pipeline):
            rows += accountant.rows(view)
            if view.ends_input:
                taken.append((view.path, accountant.status, rows))
                rows = []
    assert not rows
    assert [path for path, _, _ in taken] == paths
    for name, (path, status, rows) in zip(names, taken, strict=True):
        assert {row.path for row in rows} == {path_text(path)}
        kind = name.split()[0]
        expected = {"text": "unreadable", "missing": "unreadable", "empty": "no_face"}
        assert status == expected.get(kind, "ok")
        assert len(rows) == {"crowd": 11, "video": 10}.get(kind, 1)
        if kind in ("grey", "crowd"):
            level = 77 if kind == "crowd" else int(name.split()[1])
            assert [row.probabilities[0] for row in rows] == pytest.approx(
                [level / 255] * len(rows), abs=1e-5
            )
            assert [row.face for row in rows] == list(range(1, len(rows) + 1))
        if kind == "video":
            assert [(row.frame, row.face) for row in rows] == [
                (n // 2, n % 2 + 1) for n in range(10)
            ]


def test_the_photograph_has_its_face_and_an_image_of_it():
    (view,) = run([PHOTO], detector=make_detector("yunet"), images=True)
    (face,) = view.faces
    assert view.size == (512, 600)
    assert 200 < face.detection.x + face.detection.width / 2 < 330
    small = cv2.imdecode(np.frombuffer(face.image, np.uint8), cv2.IMREAD_COLOR)
    assert small.shape == (96, 96, 3)


def test_no_more_inputs_are_started_than_consumed_results_allow(inputs):
    begun = itertools.count()
    made = (View(inputs["grey 10"]) for _ in iter(lambda: next(begun), None))
    with ScoringPipeline(made, stages()) as pipeline:
        results = flat(pipeline)
        for _ in range(100):
            next(results)
    assert 100 <= next(begun) <= 100 + 2 * (4 * SIZE + 3)  # inputs that are ready or in progress


def test_a_face_does_not_wait_for_a_full_batch_while_inputs_arrive_slowly(inputs):
    seen = threading.Event()

    def slow() -> Iterator[View]:
        yield View(inputs["grey 120"])
        assert seen.wait(30)
        yield View(inputs["grey 250"])

    with ScoringPipeline(slow(), stages()) as pipeline:
        results = flat(pipeline)
        first = next(results)
        seen.set()
        second = next(results)
    assert first.faces[0].confidence < second.faces[0].confidence


def test_a_failure_on_one_input_is_the_error_of_that_input_only(inputs):
    class Fragile(Squares):
        def detect(self, image: np.ndarray) -> list[Detection]:
            if image.mean() == 120:
                raise cv2.error("too grey\nfor \udcff me")
            return super().detect(image)

    order = ["grey 10", "grey 120", "grey 250"]
    before, broken, after = run([inputs[name] for name in order], detector=Fragile())
    assert broken.error == "error: too grey for \\udcff me"
    assert not broken.faces
    assert len(before.faces) == len(after.faces) == 1


@pytest.mark.parametrize("culprit", ["recognise", "source"])
def test_a_failure_of_everything_is_raised_and_ends_every_thread(inputs, culprit):
    def fail(*_: object) -> None:
        raise RuntimeError(f"no {culprit}")

    def broken() -> Iterator[View]:
        yield View(inputs["grey 10"])
        fail()

    changes = {} if culprit == "source" else {culprit: fail}
    made = broken() if culprit == "source" else source([inputs["grey 10"]] * 50)
    pipeline = ScoringPipeline(made, stages(**changes))
    with pytest.raises(RuntimeError, match=f"no {culprit}"), pipeline:
        list(pipeline)
    assert pipeline.stop()


def test_leaving_early_ends_every_thread(inputs):
    endless = (View(inputs["crowd"]) for _ in itertools.count())
    with ScoringPipeline(endless, stages(detector=Squares())) as pipeline:
        next(flat(pipeline))
    assert pipeline.stop()


def test_a_truncated_video_keeps_its_faces_and_reports_where_it_ends(tmp_path):
    whole = write_video(tmp_path / "whole.avi", [photo()] * 6, codec="MJPG", fps=10)
    cut = tmp_path / "cut.avi"
    data = whole.read_bytes()
    cut.write_bytes(data[: int(len(data) * 0.6)])
    accountant = Accountant()
    rows = [row for view in run([cut]) for row in accountant.rows(view)]
    assert accountant.status == "unreadable"
    assert {row.status for row in rows[:-1]} == {"ok"}
    assert 1 <= len(rows[:-1]) < 6
    assert rows[-1].status == "unreadable"
    assert "cut short" in rows[-1].error


def test_a_video_that_lost_frames_keeps_its_rows_and_has_one_note(tmp_path):
    clip = encode(tmp_path / "clip.mkv", frames(9), *EVERY_FRAME_WHOLE)
    clip.write_bytes(without_jpeg(clip.read_bytes(), 5))
    accountant = Accountant()
    rows = [row for view in run([clip], detector=Squares()) for row in accountant.rows(view)]
    assert accountant.status == "ok"
    assert [(row.frame, row.face) for row in rows[:-1]] == [(n // 2, n % 2 + 1) for n in range(16)]
    assert {row.time_s for row in rows[:-1]} == {0.0, 0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8}
    assert rows[-1].status == "note"
    assert rows[-1].error == "1 of 9 frames could not be decoded"
    summary = Summary()
    for row in rows:
        summary.add(row)
    assert summary.inputs == {"ok": 1}
    assert summary.notes == [(str(clip), "1 of 9 frames could not be decoded")]
    assert "Lost frames" in page(summary, title="")


def test_a_decoder_that_crashes_costs_its_video_and_not_the_run(inputs, tmp_path):
    bad = write_video(tmp_path / "bad.avi", [photo()] * 30, codec="MJPG", fps=10)
    with VideoDecoder() as decoder:

        def opened(path: Path) -> Video:
            video = decoder.opened(path)
            if path == bad:
                os.kill(decoder.pid, signal.SIGSEGV)
            return video

        accountant, statuses, rows = Accountant(), [], []
        paths = [inputs["grey 10"], bad, inputs["video"]]
        with ScoringPipeline(views(paths, opened), stages(detector=Squares())) as pipeline:
            for view in flat(pipeline):
                rows += accountant.rows(view)
                statuses += [accountant.status] * view.ends_input
    assert statuses == ["ok", "unreadable", "ok"]
    (row,) = (row for row in rows if row.status == "unreadable")
    assert row.path == str(bad)
    assert "the video's decoder crashed (SIGSEGV)" in row.error
    assert sum(row.path == str(inputs["video"]) for row in rows) == 10


def test_faces_keep_their_shape_where_pixels_are_not_square():
    shapes = []
    for name in ("hdv", "square"):
        path = shared_file(f"cases/anamorphic/{name}.mp4")
        source = views([path], functools.partial(VideoReader, every=15))
        detecting = stages(detector=make_detector("yunet"))
        with ScoringPipeline(source, detecting) as pipeline:
            found = [view.faces[0].detection for view in flat(pipeline) if view.frame is not None]
        shapes.append([face.height / face.width for face in found])
    assert shapes[0] == pytest.approx(shapes[1], rel=0.12)


def test_a_face_keeps_its_track_and_is_smoothed_over_time():
    path = shared_media("woman_phone.mp4")
    accountant = Accountant()
    source = views([path], functools.partial(VideoReader, fps=5.0))
    detecting = stages(detector=make_detector("yunet"))
    with ScoringPipeline(source, detecting) as pipeline:
        rows = [row for view in flat(pipeline) for row in accountant.rows(view)]
    assert {row.track for row in rows} == {1}
    assert all(0.15 < b.time_s - a.time_s < 0.3 for a, b in itertools.pairwise(rows))
    raw, smooth = (
        [values[0] for values in column]
        for column in ([row.probabilities for row in rows], [row.smoothed for row in rows])
    )
    assert smooth[0] == raw[0]
    assert np.abs(np.diff(smooth)).max() < np.abs(np.diff(raw)).max()
