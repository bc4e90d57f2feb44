"""`fer_jax.Predictor` on all inputs: files, bytes, PIL images, OpenCV arrays, videos, folders."""

from __future__ import annotations

import io
import json
import re
import sys

import cv2
import numpy as np
import pytest
from PIL import Image

from fer_jax import FerError, Predictor, command, score
from fer_jax.expressions import EXPRESSIONS
from fer_jax.scoring.writers import read_rows
from tests.faces.sample_media import PHOTO, frames, photo, write_video
from tests.media.sample_videos import EVERY_FRAME_WHOLE, encode, without_jpeg
from tests.small_checkpoint import write_workdir


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return write_workdir(tmp_path_factory.mktemp("interface") / "run", model__name="seed_cnn")


@pytest.fixture(scope="module")
def predictor(workdir):
    return Predictor.load(workdir, max_batch=4)


def two_people() -> np.ndarray:
    """The photograph twice, side by side."""
    return np.concatenate([photo(), photo()], axis=1)


def test_a_path_bytes_a_pil_image_and_arrays_of_both_orders_give_the_same_face(predictor):
    image = photo()
    asked = [
        predictor.analyze(PHOTO),
        predictor.analyze(str(PHOTO)),
        predictor.analyze(PHOTO.read_bytes()),
        predictor.analyze(image),
        predictor.analyze(np.ascontiguousarray(image[..., ::-1]), bgr=True),
        predictor.analyze(Image.fromarray(image)),
    ]
    for (face,) in asked:
        assert face.box == asked[0][0].box
        np.testing.assert_array_equal(face.probabilities, asked[0][0].probabilities)


@pytest.mark.parametrize("kind", ["path", "bytes", "pil"])
def test_a_rotated_photograph_is_read_upright(predictor, tmp_path, kind):
    exif = Image.Exif()
    exif[0x0112] = 6  # displayed a quarter turn clockwise
    file = io.BytesIO()
    Image.fromarray(np.rot90(photo())).save(file, "PNG", exif=exif)
    path = tmp_path / "turned.png"
    path.write_bytes(file.getvalue())
    source = {"path": path, "bytes": file.getvalue(), "pil": Image.open(file)}[kind]
    (face,) = predictor.analyze(source)
    assert face.box == predictor.analyze(photo())[0].box


@pytest.mark.parametrize(
    ("source", "options", "error"),
    [
        (b"no image", {}, FerError),
        ("/nowhere.jpg", {}, FerError),
        (3, {}, TypeError),
        (str(PHOTO), {"bgr": True}, ValueError),
    ],
)
def test_anything_but_a_photograph_is_refused(predictor, source, options, error):
    with pytest.raises(error):
        predictor.analyze(source, **options)


def test_faces_are_listed_from_left_to_right_and_show_themselves(predictor):
    faces = predictor.analyze(two_people())
    assert len(faces) == 2
    assert faces[0].box[0] < 512 < faces[1].box[0]
    first, second = repr(faces).splitlines()
    assert re.fullmatch(r"#1 [a-z]+\?? \d+ % \(x \d+, y \d+, \d+ x \d+\)".replace(" %", "%"), first)
    assert second.startswith("#2 ")
    page = faces._repr_html_()
    assert page.count("data:image/png;base64,") == 2
    assert all(page.count(f">{name}<") == 2 for name in EXPRESSIONS)
    told = json.loads(json.dumps(faces.as_dict()))
    assert [face["expression"] for face in told] == [face.expression for face in faces]
    assert sum(told[0]["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert repr(predictor.analyze(np.zeros((90, 90), np.uint8))) == "no faces"


def test_faces_become_a_table_or_say_that_pandas_is_missing(predictor, monkeypatch):
    faces = predictor.analyze(two_people())
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(FerError, match="pip install pandas"):
        faces.to_pandas()
    monkeypatch.undo()
    pandas = pytest.importorskip("pandas")
    rows = faces.to_pandas()
    assert isinstance(rows, pandas.DataFrame)
    assert list(rows["expression"]) == [face.expression for face in faces]
    assert list(rows["happy"]) == [float(face.probabilities[3]) for face in faces]


def test_a_plot_has_a_row_of_bars_for_each_face(predictor):
    axes = predictor.analyze(two_people()).plot().axes
    assert len(axes) == 4
    assert axes[0].get_title().startswith("#1 ")
    assert len(axes[1].patches) == len(EXPRESSIONS)


def test_annotating_marks_each_face_where_it_is(predictor):
    image = two_people()
    faces = predictor.analyze(image)
    marked = predictor.annotate(image, faces)
    changed = (marked != image).any(axis=2)
    assert changed[:, :512].any()
    assert changed[:, 512:].any()
    assert not np.array_equal(predictor.annotate(image, faces[:1]), marked)


def test_explaining_a_face_equals_explaining_its_crop(predictor):
    faces = predictor.analyze(two_people())
    maps = predictor.explain(faces, expression="happy").maps
    assert maps.shape == (2, 48, 48)
    np.testing.assert_array_equal(predictor.explain(faces[0], expression="happy").maps[0], maps[0])
    crops = np.stack([face.crop for face in faces])
    np.testing.assert_array_equal(predictor.explain(crops, expression="happy").maps, maps)


def test_a_video_gives_the_tracked_faces_of_sampled_frames_as_score_does(
    predictor, workdir, tmp_path
):
    still = [np.roll(photo(), 4 * n, axis=1) for n in range(8)]
    clip = write_video(tmp_path / "walk.avi", still, codec="MJPG", fps=10)
    shown = list(predictor.video(clip, every=2))
    assert [frame.index for frame in shown] == [0, 2, 4, 6]
    assert {face.track for frame in shown for face in frame.faces} == {1}
    out = tmp_path / "rows.csv"
    line = [str(clip), "--out", str(out), "--every", "2", "--checkpoint", str(workdir)]
    assert command.run(score.main, line) == 0
    for frame, row in zip(shown, read_rows(out), strict=True):
        (face,) = frame.faces
        assert frame.image.shape == photo().shape
        assert row.time_s == pytest.approx(frame.time_s, abs=1e-3)
        assert row.smoothed == pytest.approx(face.smoothed, abs=1e-5)
    assert cv2.absdiff(shown[0].image, shown[1].image).any()


def test_a_video_that_lost_a_frame_gives_the_others_and_a_warning(predictor, tmp_path):
    clip = encode(tmp_path / "clip.mkv", frames(9), *EVERY_FRAME_WHOLE)
    clip.write_bytes(without_jpeg(clip.read_bytes(), 5))
    with pytest.warns(UserWarning, match="1 of 9 frames could not be decoded"):
        shown = list(predictor.video(clip))
    assert len(shown) == 8


def test_a_folder_gives_the_rows_that_score_writes(predictor, workdir, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    cv2.imwrite(str(folder / "two.png"), two_people()[..., ::-1])
    (folder / "text.jpg").write_text("not an image")
    write_video(folder / "still.avi", frames(3), codec="MJPG", fps=10)
    out = tmp_path / "rows.jsonl"
    line = [str(folder), "--out", str(out), "--checkpoint", str(workdir), "--batch-size", "4"]
    assert command.run(score.main, line) == 0
    written, given = list(read_rows(out)), list(predictor.folder(folder))
    assert [row.status for row in given] == [row.status for row in written]
    assert {row.status for row in given} == {"ok", "unreadable", "no_face"}
    for ours, theirs in zip(given, written, strict=True):
        assert ours._replace(probabilities=None, smoothed=None, confidence=None) == theirs._replace(
            probabilities=None, smoothed=None, confidence=None
        )
        assert ours.probabilities == pytest.approx(theirs.probabilities, abs=1e-5)
