from __future__ import annotations

import struct
from pathlib import Path

import cv2
import pytest

from fer_jax.data.sources import find_source
from fer_jax.errors import DataError
from tests.data import face_files as make
from tests.media.hostile_images import huge_png


def _with_thumbnail(jpeg: bytes, thumbnail: bytes) -> bytes:
    """Puts a complete small JPEG, including its end marker, into a segment before the image."""
    segment = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    return jpeg[:2] + segment + jpeg[2:]


JPEG = make.encoded(make.face(9, size=100), ".jpg")
PNG = make.encoded(make.face(9))


@pytest.mark.parametrize(
    ("file", "data", "complaint"),
    [
        ("a.jpg", JPEG[:-200], "cut short"),
        ("a.jpg", JPEG[:-6], "cut short"),
        ("a.jpg", JPEG[:-200] + b"\0" * 200, "cut short"),
        ("a.jpg", JPEG[:30], "cut short"),
        ("a.jpg", _with_thumbnail(JPEG, JPEG[:2] + JPEG[-2:])[:-200], "cut short"),
        ("a.png", PNG[:-6], "cut short"),
        ("a.png", PNG[:600] + b"\0" + PNG[601:], "damaged"),
        ("a.bmp", make.encoded(make.face(9), ".bmp")[:-9], "cut short"),
        ("a.webp", make.encoded(make.face(9), ".webp")[:-9], "cut short"),
        ("a.jpg", b"", "empty"),
        ("a.jpg", b"<html>404</html>", "not an image"),
        ("a.gif", b"GIF89a", "cut short"),
        ("a.png", huge_png(), "claims 40000 x 40000 pixels, more than 100 megapixels"),
    ],
)
def test_a_bad_image_among_good_ones_is_named_or_left_out(
    tmp_path: Path, file: str, data: bytes, complaint: str
) -> None:
    make.write_files(tmp_path, make.image_files(make.folder_names(("train",))))
    make.write_files(tmp_path, {f"train/happy/{file}": data})
    source = find_source(tmp_path)
    with pytest.raises(DataError) as error:
        source.read()
    assert str(error.value).startswith(f"{tmp_path}/train/happy/{file}: ")
    assert complaint in str(error.value)
    reading = source.read("skip")
    assert len(reading.splits["train"]) == 7
    assert [skipped.name for skipped in reading.skipped] == [f"train/happy/{file}"]


def test_complete_jpegs_with_thumbnails_or_trailing_bytes_do_not_count_as_truncated(
    tmp_path: Path,
) -> None:
    files = {
        "train/sad/a.jpg": JPEG + b"\0" * 17 + b"camera notes",
        "train/sad/b.jpg": _with_thumbnail(JPEG, JPEG[:2] + JPEG[-2:]),
        "train/sad/c.jpg": cv2.imencode(
            ".jpg", make.face(9, size=100), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]
        )[1].tobytes(),
        "train/sad/d.png": JPEG,  # the bytes determine the format, not the name
    }
    reading = find_source(make.write_files(tmp_path, files)).read()
    assert len(reading.splits["train"]) == 4
