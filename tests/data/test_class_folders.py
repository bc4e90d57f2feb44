"""Images in numbered or deeper folders, without splits, or with classes beside the seven."""

from __future__ import annotations

from pathlib import Path

import pytest

from fer_jax.config import DataConfig
from fer_jax.data.datasets import open_dataset
from fer_jax.data.sources import find_source, load_faces
from fer_jax.errors import DataError
from fer_jax.expressions import FER2013_TO_INDEX, index_of
from fer_jax.media.kinds import IMAGE_SUFFIXES
from tests.data import face_files as make


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FER_CACHE_DIR", str(tmp_path / "cache"))


def test_images_with_splits_take_precedence_over_class_folders_without(tmp_path: Path) -> None:
    names = ["samples/happy/a.png", "samples/sad/b.png", "fer/train/happy/c.png"]
    reading = find_source(make.image_folder(tmp_path / "one", names)).read()
    assert make.names(reading) == {"train": ["train/happy/c.png"]}
    same = ["train/happy/a.png", "train/sad/b.png", "happy/c.png", "sad/d.png"]
    reading = find_source(make.image_folder(tmp_path / "two", same)).read()
    assert make.names(reading) == {"train": same[:2]}
    assert reading.left_out == {"outside the class folders": 2}
    assert reading.remarks == ["left out: 2 images outside the class folders"]
    (tmp_path / "two/happy/c.png").write_bytes(b"not an image")
    assert make.total(find_source(tmp_path / "two").read("skip")) == 4


def test_splits_below_the_classes_are_kept_separate(tmp_path: Path) -> None:
    names = ["happy/train/a.png", "sad/train/b.png", "happy/test/c.png"]
    assert make.names(find_source(make.image_folder(tmp_path, names)).read()) == {
        "train": names[:2],
        "test": names[2:],
    }


@pytest.mark.parametrize("split", ["", "train/"])
def test_classes_other_than_the_seven_are_left_out_and_counted(tmp_path: Path, split: str) -> None:
    names = [f"{split}{name}" for name in make.TWENTY_OF_EACH]
    names += [f"{split}contempt/{n}.png" for n in range(3)] + [f"{split}ahegao/a.png"]
    data = make.image_folder(tmp_path / "data", names)
    (data / f"{split}contempt/3.png").write_bytes(b"need not be readable")
    for _ in range(2):  # read, then loaded from the cache
        reading = load_faces(data)
        assert reading.left_out == {
            "in 'contempt', which is not one of the seven expressions": 4,
            "in 'ahegao', which is not one of the seven expressions": 1,
        }
        assert sum("'contempt'" in line for line in reading.remarks) == 1
        assert not reading.skipped
        assert make.total(reading) == 145
    dataset = open_dataset(DataConfig(dir=str(data)), seed=0)
    assert sum(dataset.card["left_out"].values()) == 5


@pytest.mark.parametrize("split", ["", "train/"])
def test_a_possibly_misspelt_class_among_known_ones_is_refused(tmp_path: Path, split: str) -> None:
    data = make.image_folder(
        tmp_path, [f"{split}{name}/a.png" for name in ("happy", "sad", "hapiness")]
    )
    with pytest.raises(DataError, match="'hapiness' names no expression, did you mean 'happy'"):
        find_source(data).read()
    (data / f"{split}hapiness").rename(data / f"{split}XY")
    with pytest.raises(DataError, match="'XY' names no expression, expected one of angry, "):
        find_source(data).read()


def test_a_split_whose_classes_are_all_unknown_is_refused(tmp_path: Path) -> None:
    data = make.image_folder(tmp_path, ["train/boredom/a.png", "happy/Training_1.png"])
    with pytest.raises(DataError, match="'boredom' names no expression"):
        find_source(data).read()


@pytest.mark.parametrize("split", ["", "train/"])
def test_folders_0_to_6_are_the_codes_of_fer2013(tmp_path: Path, split: str) -> None:
    data = make.image_folder(
        tmp_path / "data", [f"{split}{code}/{n}.png" for code in range(7) for n in "ab"]
    )
    for _ in range(2):  # read, then taken from the cache
        reading = load_faces(data)
        (line,) = (line for line in reading.remarks if "numbered" in line)
        assert "4 sad, 5 surprise, 6 neutral" in line
        for faces in reading.splits.values():
            codes = [int(name.removeprefix(split)[0]) for name in faces.names]
            assert faces.labels.tolist() == [FER2013_TO_INDEX[code] for code in codes]


@pytest.mark.parametrize("classes", ["1234567", "01234567", ["0", "1", "happy", "sad"]])
def test_numbered_folders_other_than_0_to_6_are_refused(tmp_path: Path, classes: list[str]) -> None:
    data = make.image_folder(tmp_path, [f"train/{each}/a.png" for each in classes])
    with pytest.raises(DataError, match="is a number, and the numbered folders are not 0 to 6"):
        find_source(data).read()


def test_numbered_folders_next_to_the_splits_do_not_count(tmp_path: Path) -> None:
    names = [f"train/{code}/a.png" for code in range(7)]
    reading = find_source(make.image_folder(tmp_path, [*names, "2019/a.png", "7/b.png"])).read()
    assert reading.numbered
    assert make.names(reading) == {"train": names}
    assert reading.left_out == {"outside the class folders": 2}


def test_images_in_deeper_folders_are_read(tmp_path: Path) -> None:
    names = ["train/happy/subject1/day2/x.jpg", "train/happy/y.jpg", "test/sad/val/z.jpg"]
    reading = find_source(make.image_folder(tmp_path / "split", names)).read()
    assert make.names(reading) == {"train": names[:2], "test": names[2:]}
    flat = [name.partition("/")[2] for name in names[:2]] + ["sad/subject1/z.jpg"]
    reading = find_source(make.image_folder(tmp_path / "flat", flat)).read()
    assert make.names(reading) == {"train": sorted(flat)}
    assert reading.splits["train"].labels.tolist() == [*[index_of("happy")] * 2, index_of("sad")]


def test_a_folder_that_links_to_itself_is_read_once(tmp_path: Path) -> None:
    data = make.image_folder(tmp_path, ["train/happy/one/x.png"])
    (data / "train/happy/one/again").symlink_to(data / "train/happy")
    (data / "train/joy").symlink_to(data / "train/happy")
    names = make.names(find_source(data).read())
    assert names == {"train": ["train/happy/one/x.png", "train/joy/one/x.png"]}


@pytest.mark.parametrize("packed", [False, True])
def test_every_image_is_used_or_counted(tmp_path: Path, packed: bool) -> None:
    names = [*make.TWENTY_OF_EACH, "contempt/deep/down/a.png", "loose.png", "happy/deep/a.png"]
    files = {f"faces/{name}": data for name, data in make.image_files(names).items()}
    bad = [f"sad/broken{suffix}" for suffix in sorted(IMAGE_SUFFIXES)]
    files |= {f"faces/{name}": b"not an image" for name in bad}
    files |= {"faces/sad/notes.txt": b"no image"}
    if packed:
        data = make.write_zip(tmp_path / "x.zip", files)
    else:
        data = make.write_files(tmp_path / "data", files)
    reading = load_faces(data, on_error="skip")
    assert sorted(name for name, _ in reading.skipped) == bad
    assert reading.left_out["outside the class folders"] == 1
    assert make.total(reading) == len(names) + len(bad)


def test_the_fingerprint_also_covers_what_is_only_counted(tmp_path: Path) -> None:
    data = make.image_folder(tmp_path, ["happy/a.png", "sad/b.png"])
    seen = {find_source(data).fingerprint}
    for name in ("contempt/c.png", "loose.png", "happy/deep/d.png"):
        make.image_folder(tmp_path, [name])
        seen.add(find_source(data).fingerprint)
    assert len(seen) == 4
