from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fer_jax.data.records import Reading
from fer_jax.data.sources import find_source
from fer_jax.errors import DataError
from tests.data import face_files as make


def labels(reading: Reading, split: str) -> list[int]:
    return reading.splits[split].labels.tolist()


@pytest.mark.parametrize(
    ("file", "header", "order"),
    [
        ("fer2013.csv", "emotion,pixels,Usage", (0, 1, 2)),
        ("icml_face_data.csv", "emotion, Usage, pixels", (0, 2, 1)),
        ("renamed.csv", '"emotion","pixels","Usage"', (0, 1, 2)),
    ],
)
def test_csv_rows_become_faces_with_our_labels_and_splits(
    tmp_path: Path, file: str, header: str, order: tuple[int, ...]
) -> None:
    rows = [[row[i] for i in order] for row in make.ROWS]
    (tmp_path / file).write_bytes(make.csv_bytes(rows, header))
    for path in (tmp_path, tmp_path / file):
        source = find_source(path)
        reading = source.read()
        assert (source.form, reading.kind) == ("csv", "fer2013")
        assert make.names(reading) == {
            "train": [f"{file}:2", f"{file}:5"],
            "validation": [f"{file}:3"],
            "test": [f"{file}:4"],
        }
        assert labels(reading, "train") == [3, 5]
        assert labels(reading, "validation") == [4]
        np.testing.assert_array_equal(reading.splits["train"].images[1], make.face(3))


def test_a_spreadsheets_csv_with_a_byte_order_mark_and_crlf_is_read(tmp_path: Path) -> None:
    data = b"\xef\xbb\xbf" + make.csv_bytes(make.ROWS).replace(b"\n", b"\r\n")
    (tmp_path / "fer2013.csv").write_bytes(data)
    assert make.names(find_source(tmp_path).read())["test"] == ["fer2013.csv:4"]


@pytest.mark.parametrize(
    ("votes", "complaint"),
    [
        ([("Training", {})] * 3, "3 rows of votes for 4 faces"),
        ([("Training", {})] * 4, r"row 2 differs from fer2013\.csv:3"),
    ],
)
def test_votes_of_another_csv_are_refused(tmp_path: Path, votes: list, complaint: str) -> None:
    (tmp_path / "fer2013.csv").write_bytes(make.csv_bytes(make.ROWS))
    (tmp_path / "fer2013new.csv").write_bytes(make.votes_bytes(votes))
    with pytest.raises(DataError, match=rf"fer2013new\.csv: .*{complaint}"):
        find_source(tmp_path).read("skip")


def _cell(column: int, value: str) -> Callable[[list[str]], list[str]]:
    return lambda row: [value if i == column else cell for i, cell in enumerate(row)]


def _pixel(value: str) -> Callable[[list[str]], list[str]]:
    return lambda row: [row[0], f"{value} {row[1].partition(' ')[2]}", row[2]]


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda row: row[:2], "2 columns, expected 3"),
        (lambda row: [*row, "x"], "4 columns, expected 3"),
        (_cell(1, "1 2 3"), "3 pixels, expected 2304"),
        (_cell(1, ""), "0 pixels, expected 2304"),
        (_pixel("256"), "the pixel 256 is out of 0 to 255"),
        (_pixel("-1"), "the pixel '-1' is not a whole number"),
        (_pixel("1.5"), "the pixel '1.5' is not a whole number"),
        (_cell(0, "7"), "the label '7' is not one of 0 to 6"),
        (_cell(0, "happy"), "the label 'happy' is not one of 0 to 6"),
        (_cell(2, "Testing"), "the Usage 'Testing' is not Training, PublicTest or PrivateTest"),
    ],
)
def test_a_bad_row_is_named_by_its_line_or_left_out(
    tmp_path: Path, spoil: Callable[[list[str]], list[str]], complaint: str
) -> None:
    rows = [make.ROWS[0], make.ROWS[1], spoil(make.ROWS[2]), make.ROWS[3]]
    (tmp_path / "fer2013.csv").write_bytes(make.csv_bytes(rows))
    source = find_source(tmp_path)
    with pytest.raises(DataError) as error:
        source.read()
    message = str(error.value)
    assert message.startswith(f"{tmp_path}/fer2013.csv:4: {complaint}")
    assert message.endswith('leave out such faces with on_error="skip"')
    assert "\n" not in message
    reading = source.read("skip")
    assert make.names(reading) == {
        "train": ["fer2013.csv:2", "fer2013.csv:5"],
        "validation": ["fer2013.csv:3"],
    }
    ((name, reason),) = reading.skipped
    assert name == "fer2013.csv:4"
    assert reason.startswith(complaint)


@pytest.mark.parametrize("data", [b"", b"emotion,Usage\n", b"\x00\xff\xfe garbage"])
def test_a_csv_without_emotion_or_pixels_is_refused_at_its_first_line(
    tmp_path: Path, data: bytes
) -> None:
    (tmp_path / "fer2013.csv").write_bytes(data)
    with pytest.raises(DataError, match=r"fer2013\.csv:1: expected the columns emotion, pixels"):
        find_source(tmp_path).read("skip")


def test_a_compressed_csv_gives_the_faces_of_the_plain_one(tmp_path: Path) -> None:
    files = {
        "fer2013.csv": make.csv_bytes(make.ROWS),
        "fer2013new.csv": make.votes_bytes([(row[2], {"fear": 3}) for row in make.ROWS]),
    }
    opened = find_source(make.write_files(tmp_path / "open", files)).read()
    zipped = {f"{name}.gz": gzip.compress(data) for name, data in files.items()}
    make.write_files(tmp_path / "packed", zipped)
    make.write_tar(tmp_path / "x.tar", zipped)
    for path in (tmp_path / "packed", tmp_path / "packed/fer2013.csv.gz", tmp_path / "x.tar"):
        reading = find_source(path).read()
        assert list(reading.splits) == ["train", "validation", "test"]
        for split, faces in reading.splits.items():
            assert faces.digest() == opened.splits[split].digest()


def test_a_csv_without_usage_takes_the_usage_of_its_votes(tmp_path: Path) -> None:
    votes = make.votes_bytes([(row[2], {"fear": 3}) for row in make.ROWS])
    rows = make.csv_bytes([row[:2] for row in make.ROWS], "emotion,pixels")
    make.write_files(tmp_path, {"fer2013.csv": rows, "fer2013new.csv": votes})
    reading = find_source(tmp_path).read()
    assert make.names(reading) == {
        "train": ["fer2013.csv:2", "fer2013.csv:5"],
        "validation": ["fer2013.csv:3"],
        "test": ["fer2013.csv:4"],
    }


def test_a_damaged_or_endless_compressed_csv_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "fer2013.csv.gz"
    packed = gzip.compress(make.csv_bytes(make.ROWS))
    for data in (packed[: len(packed) // 2], b"emotion,pixels\n", packed[:-9] + b"\0" * 9):
        file.write_bytes(data)
        with pytest.raises(DataError, match=r"fer2013\.csv\.gz: the archive is damaged or cut"):
            find_source(tmp_path).read("skip")
    file.write_bytes(packed)
    monkeypatch.setattr("fer_jax.data.members.MAX_UNPACKED_BYTES", 1 << 10)
    with pytest.raises(DataError, match=r"fer2013\.csv\.gz: unpacks to more than"):
        find_source(tmp_path).read("skip")
