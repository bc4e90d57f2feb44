from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from fer_jax.data.records import Reading
from fer_jax.data.sources import NoFacesError, find_source
from fer_jax.errors import DataError
from fer_jax.expressions import index_of
from fer_jax.faces.preprocess import grey_face
from tests.data import face_files as make

MIXED = (
    "train/happy/Training_1.jpg",
    "train/sad/Training_2.jpg",
    "test/happy/PublicTest_3.jpg",
    "test/happy/PrivateTest_4.jpg",
    "test/fear/PrivateTest_5.jpg",
)


def test_the_seven_class_folders_of_kdef_are_recognised() -> None:
    assert sorted(index_of(name) for name in ("AF", "AN", "DI", "HA", "NE", "SA", "SU")) == [
        *range(7)
    ]


def labels(reading: Reading, split: str) -> list[int]:
    return reading.splits[split].labels.tolist()


def test_usage_prefixes_decide_the_split_in_the_mixed_test_folder(tmp_path: Path) -> None:
    make.write_files(tmp_path, make.image_files(MIXED))
    source = find_source(tmp_path)
    reading = source.read()
    assert (source.form, reading.kind) == ("folders", "fer2013")
    assert make.names(reading) == {
        "train": ["train/happy/Training_1.jpg", "train/sad/Training_2.jpg"],
        "validation": ["test/happy/PublicTest_3.jpg"],
        "test": ["test/fear/PrivateTest_5.jpg", "test/happy/PrivateTest_4.jpg"],
    }


@pytest.mark.parametrize(
    ("folder", "split"),
    [
        ("Training", "train"),
        ("val", "validation"),
        ("Public_Test", "validation"),
        ("VALID", "validation"),
        ("testing", "test"),
        ("PrivateTest", "test"),
    ],
)
def test_split_and_class_folders_are_recognised_by_their_usual_spellings(
    tmp_path: Path, folder: str, split: str
) -> None:
    files = make.image_files([f"{folder}/Anger/a.png", f"{folder}/surprised/b.bmp"])
    reading = find_source(make.write_files(tmp_path, files)).read()
    assert list(reading.splits) == [split]
    assert labels(reading, split) == [index_of("angry"), index_of("surprise")]


def test_any_folder_of_colour_images_becomes_grey_faces_of_our_size(tmp_path: Path) -> None:
    colour = make.face(1, size=120, channels=3)
    transparent = make.face(2, size=30, channels=4)
    files = {
        "train/happiness/a.png": make.encoded(colour),
        "train/joy/b.PNG": make.encoded(transparent),
        "train/sad/c.webp": make.encoded(colour, ".webp"),
    }
    reading = find_source(make.write_files(tmp_path, files)).read()
    assert reading.kind == "folder"
    first, second, third = reading.splits["train"].images
    assert {first.shape, second.shape, third.shape} == {(48, 48)}
    expected = grey_face(cv2.cvtColor(colour, cv2.COLOR_BGR2RGB)).astype(int)
    np.testing.assert_allclose(first.astype(int), expected, atol=2)


def test_faces_one_folder_down_are_found_next_to_unrelated_folders(tmp_path: Path) -> None:
    files = make.image_files([f"fer2013/{name}" for name in MIXED])
    files |= {"photos/album/x.jpg": b"not a face", "notes.txt": b"", "results.csv": b"a,b\n1,2\n"}
    reading = find_source(make.write_files(tmp_path, files)).read()
    assert make.names(reading)["validation"] == ["test/happy/PublicTest_3.jpg"]


def test_a_split_folder_can_be_named_directly(tmp_path: Path) -> None:
    make.write_files(tmp_path, make.image_files(make.folder_names(("train", "test"))))
    reading = find_source(tmp_path / "test").read()
    assert list(reading.splits) == ["test"]
    assert make.names(reading)["test"][0] == "test/angry/0.png"


@pytest.mark.parametrize("file", ["a.zip", "a.tar", "a.tar.gz", "a.tar.xz"])
def test_archives_give_the_faces_of_the_unpacked_folder(tmp_path: Path, file: str) -> None:
    files = make.image_files([f"fer2013/{name}" for name in MIXED])
    opened = find_source(make.write_files(tmp_path / "open", files)).read()
    junk = {
        "__MACOSX/fer2013/train/happy/._Training_1.jpg": b"x",
        "fer2013/train/happy/.DS_Store": b"x",
        "../train/happy/Training_9.jpg": b"x",
        "/train/happy/Training_9.jpg": b"x",
        "fer2013/README.txt": b"x",
    }
    packed = junk | dict(reversed(files.items()))
    shelf = tmp_path / "packed"
    shelf.mkdir()
    write = make.write_zip if file.endswith(".zip") else make.write_tar
    write(shelf / file, packed)
    make.write_tar(shelf / "b.tar", {"other/labels.csv": b"file,label\n"})
    for path in (shelf / file, shelf):
        source = find_source(path)
        reading = source.read()
        assert source.form == "archive:folders"
        assert make.names(reading) == make.names(opened)
        for split, faces in reading.splits.items():
            np.testing.assert_array_equal(faces.images, opened.splits[split].images)


@pytest.mark.parametrize("file", ["x.zip", "x.tar.gz"])
def test_a_csv_in_an_archive_is_read_with_the_votes_next_to_it(tmp_path: Path, file: str) -> None:
    votes = make.votes_bytes(
        [
            ("Training", {"happiness": 7, "contempt": 3}),
            ("PublicTest", {"neutral": 10}),
            ("PrivateTest", {"unknown": 4, "NF": 6}),
            ("Training", {"sadness": 8, "fear": 1, "anger": 1}),
        ]
    )
    packed = {"fer2013/fer2013new.csv": votes, "fer2013/fer2013.csv": make.csv_bytes(make.ROWS)}
    write = make.write_zip if file.endswith(".zip") else make.write_tar
    source = find_source(write(tmp_path / file, packed))
    reading = source.read()
    assert source.form == "archive:csv"
    assert reading.has_votes
    train, test = reading.splits["train"].votes, reading.splits["test"].votes
    assert train is not None
    assert test is not None
    happy, sad = train
    np.testing.assert_array_equal(happy, np.float32([0, 7, 0, 0, 0, 0, 0, 3, 0, 0]))
    np.testing.assert_array_equal(sad, np.float32([0, 0, 0, 8, 1, 0, 1, 0, 0, 0]))
    np.testing.assert_array_equal(test[0], np.float32([0, 0, 0, 0, 0, 0, 0, 0, 4, 6]))


def test_an_unknown_class_folder_is_named_with_the_nearest_expression(tmp_path: Path) -> None:
    make.write_files(tmp_path, make.image_files(["train/happy/a.png", "train/suprise/b.png"]))
    source = find_source(tmp_path)
    with pytest.raises(DataError, match=r"'suprise' names no expression, did you mean 'surprise'"):
        source.read()
    assert [skipped.name for skipped in source.read("skip").skipped] == ["train/suprise/b.png"]
    (tmp_path / "train/happy/a.png").unlink()
    with pytest.raises(NoFacesError, match="did you mean 'surprise'"):
        find_source(tmp_path)


def test_paths_without_faces_say_which_layouts_are_accepted(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    make.write_files(tmp_path, {"notes.txt": b"hello", "flat/happy/a.png": b""})
    make.write_tar(tmp_path / "x.tar", {"a/b.txt": b""})
    for name in ("empty", "notes.txt", "flat", "x.tar", ""):
        with pytest.raises(NoFacesError, match=r"holds no faces; expected fer2013\.csv, "):
            find_source(tmp_path / name)
    with pytest.raises(DataError, match="missing: no such file or folder"):
        find_source(tmp_path / "missing")


def test_a_folder_whose_every_face_is_bad_is_an_error_even_when_skipping(tmp_path: Path) -> None:
    make.write_files(tmp_path, {"train/happy/a.jpg": b"not an image"})
    with pytest.raises(NoFacesError, match="1 were left out"):
        find_source(tmp_path).read("skip")


def test_a_choice_between_two_equal_data_sets_is_refused(tmp_path: Path) -> None:
    files = make.image_files(["one/train/happy/a.png", "two/train/happy/a.png"])
    with pytest.raises(DataError, match=r"several data sets \(one, two\); name one"):
        find_source(make.write_files(tmp_path, files))


def test_a_damaged_or_encrypted_archive_is_named(tmp_path: Path) -> None:
    files = make.image_files(MIXED)
    whole = make.write_tar(tmp_path / "a.tar.xz", files).read_bytes()
    (tmp_path / "a.tar.xz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"a\.tar\.xz: the archive is damaged or cut short"):
        find_source(tmp_path / "a.tar.xz").read("skip")
    (tmp_path / "a.tar.xz").unlink()
    zipped = bytearray(make.write_zip(tmp_path / "b.zip", files).read_bytes())
    for at in _positions(zipped, b"PK\x01\x02"):
        zipped[at + 8] |= 1  # the encryption bit of the central directory's entry
    for at in _positions(zipped, b"PK\x03\x04"):
        zipped[at + 6] |= 1
    (tmp_path / "b.zip").write_bytes(zipped)
    with pytest.raises(DataError, match=r"b\.zip: cannot be unpacked here"):
        find_source(tmp_path).read()
    (tmp_path / "b.zip").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"b\.zip: the archive is damaged"):
        find_source(tmp_path)


def _positions(data: bytearray, mark: bytes) -> list[int]:
    return [at for at in range(len(data)) if data[at : at + 4] == mark]


def test_an_archive_that_unpacks_endlessly_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fer_jax.data.sources._PROBE_BYTES", 1 << 20)
    make.write_tar(tmp_path / "bomb.tar.xz", {"zeros.bin": bytes(4 << 20)})
    with pytest.raises(DataError, match=r"bomb\.tar\.xz: unpacks to more than"):
        find_source(tmp_path)


def test_the_fingerprint_depends_on_the_faces_and_nothing_else(tmp_path: Path) -> None:
    make.write_files(tmp_path, make.image_files(MIXED))
    before = find_source(tmp_path).fingerprint
    (tmp_path / "notes.txt").write_text("unrelated")
    assert find_source(tmp_path).fingerprint == before
    changed = tmp_path / MIXED[0]
    stat = changed.stat()
    os.utime(changed, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    touched = find_source(tmp_path).fingerprint
    assert touched != before
    changed.unlink()
    assert find_source(tmp_path).fingerprint not in (before, touched)


def test_a_dangling_link_to_an_image_is_reported(tmp_path: Path) -> None:
    make.write_files(tmp_path, make.image_files(["train/happy/a.png"]))
    (tmp_path / "train/happy/b.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(DataError, match=r"happy/b\.png: the file cannot be read \(No such file"):
        find_source(tmp_path).read()
