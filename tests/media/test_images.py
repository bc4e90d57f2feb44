from __future__ import annotations

import io
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_jax.machine.terminal import printable
from fer_jax.media.decoder import Decoder
from fer_jax.media.images import MediaError, read_image
from fer_jax.media.inputs import expand_inputs
from fer_jax.media.video import VideoReader
from tests.faces.sample_media import (
    PHOTO,
    frames,
    photo,
    write_video,
)
from tests.media.hostile_images import huge_png, many_scans

IMAGE = Image.fromarray(photo()).resize((128, 150))
RGB = np.asarray(IMAGE)


def encoded(source: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    source.save(file, kind, **options)
    return file.getvalue()


def cut_after_a_false_end() -> bytes:
    """A JPEG without its end, with the bytes of an end marker in a comment between two scans."""
    data = encoded(IMAGE, "JPEG", progressive=True)
    second = data.index(b"\xff\xda", data.index(b"\xff\xda") + 2)
    return data[:second] + b"\xff\xfe\0\4\xff\xd9" + data[second:-2]


def huge_jpeg() -> bytes:
    """118 bytes that claim 60,000 x 60,000 pixels."""
    frame = struct.pack(
        ">2sHBHHB9B", b"\xff\xc0", 17, 8, 60000, 60000, 3, 1, 34, 0, 2, 17, 1, 3, 17, 1
    )
    scan = b"\xff\xda" + struct.pack(">H", 12) + bytes([3, 1, 0, 2, 17, 3, 17, 0, 63, 0])
    comment = b"\xff\xfe" + struct.pack(">H", 79) + b"x" * 77
    return b"\xff\xd8" + comment + frame + scan + b"\0\0"


JPEG = encoded(IMAGE, "JPEG", quality=95)
PNG = encoded(IMAGE, "PNG")
OTHER = IMAGE.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
QUARTER_TURN = Image.Exif()
QUARTER_TURN[274] = 6
SIXTEEN_BIT = Image.fromarray(np.asarray(IMAGE.convert("L")).astype(np.uint16) * 257)


@pytest.mark.parametrize(
    ("data", "grey"),
    [
        (JPEG, False),
        (encoded(IMAGE, "JPEG", quality=95, progressive=True), False),
        (encoded(IMAGE.convert("CMYK"), "JPEG", quality=95), False),
        (encoded(IMAGE.convert("L"), "JPEG", quality=95), True),
        (PNG, False),
        (encoded(IMAGE.convert("RGBA"), "PNG"), False),
        (encoded(IMAGE.convert("LA"), "PNG"), True),
        (encoded(SIXTEEN_BIT, "PNG"), True),
        (encoded(IMAGE.quantize(256), "PNG"), False),
        (encoded(IMAGE.quantize(256), "GIF", save_all=True, append_images=[OTHER]), False),
        (encoded(IMAGE, "WEBP", quality=95, save_all=True, append_images=[OTHER]), False),
        (encoded(IMAGE, "WEBP", lossless=True), False),
        (encoded(IMAGE, "BMP"), False),
        (encoded(IMAGE, "TIFF", compression="tiff_lzw"), False),
        (encoded(SIXTEEN_BIT, "TIFF"), True),
        (encoded(IMAGE.rotate(90, expand=True), "JPEG", quality=95, exif=QUARTER_TURN), False),
        (encoded(IMAGE.rotate(90, expand=True), "PNG", exif=QUARTER_TURN), False),
        (encoded(IMAGE.rotate(90, expand=True), "WEBP", lossless=True, exif=QUARTER_TURN), False),
        (JPEG + b"\0" * 20 + b"camera notes", False),
    ],
)
def test_every_usual_image_comes_back_upright_as_8_bit_rgb(
    tmp_path: Path, data: bytes, grey: bool
) -> None:
    path = tmp_path / "image.jpg"  # the bytes determine the format, not the name
    path.write_bytes(data)
    image = read_image(path)
    assert (image.shape, image.dtype) == ((150, 128, 3), np.uint8)
    expected = np.asarray(IMAGE.convert("L"))[..., None] if grey else RGB
    assert np.abs(image.astype(int) - expected).mean() < 5


@pytest.mark.parametrize("lacking", [1, 2])
@pytest.mark.parametrize("restarts", [0, 5])
def test_a_jpeg_that_lacks_only_its_end_marker_is_complete(
    tmp_path: Path, lacking: int, restarts: int
) -> None:
    jpeg = encoded(IMAGE, "JPEG", restart_marker_blocks=restarts)
    (tmp_path / "endless.jpg").write_bytes(jpeg[:-lacking])
    (tmp_path / "whole.jpg").write_bytes(jpeg)
    whole = read_image(tmp_path / "whole.jpg")
    np.testing.assert_array_equal(read_image(tmp_path / "endless.jpg"), whole)
    with Decoder() as decoder:
        with decoder.opened(tmp_path / "endless.jpg") as image:
            np.testing.assert_array_equal(image, whole)
            assert decoder.note == "the JPEG lacks its end marker; all its pixels are there"
        with decoder.opened(tmp_path / "whole.jpg"):
            assert decoder.note == ""


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"\0" * 500, "only zeros"),
        (b"just some text", "not an image"),
        (b"BMW is a maker of cars and motorcycles", "not an image"),
        (JPEG[:-200], "cut short"),
        (JPEG[:-8], "cut short"),
        *(
            (encoded(IMAGE, "JPEG", restart_marker_blocks=1)[:-cut], "cut short")
            for cut in (4, 8, 16, 32)
        ),
        (JPEG[:-200] + bytes(200), "cut short"),
        (JPEG[:300], "cut short"),
        (encoded(IMAGE, "JPEG", progressive=True)[:-2], "cut short"),
        (cut_after_a_false_end(), "cut short"),
        (many_scans(encoded(IMAGE, "JPEG", progressive=True), 100), "more than 64 scans"),
        (PNG[:-6], "cut short"),
        (PNG[:900] + b"\1\2" + PNG[902:], "damaged"),
        (encoded(IMAGE.quantize(256), "GIF")[:-300], "cut short"),
        (encoded(IMAGE, "WEBP")[:-9], "cut short"),
        (encoded(IMAGE, "BMP")[:-9], "cut short"),
        (encoded(IMAGE, "TIFF")[:-400], "cut short|damaged"),
        (huge_jpeg(), "claims 60000 x 60000 pixels, more than 100 megapixels"),
        (huge_png(), "claims 40000 x 40000 pixels"),
        (b"\0\0\0\x18ftypheic" + b"\0" * 40, "damaged"),
    ],
)
def test_an_incomplete_image_is_refused_with_a_reason(
    tmp_path: Path, data: bytes, reason: str
) -> None:
    path = tmp_path / "two\nlines.jpg"
    path.write_bytes(data)
    with pytest.raises(MediaError, match=reason) as error:
        read_image(path)
    assert str(error.value).startswith(printable(path))
    assert "\n" not in str(error.value)


def test_the_huge_jpeg_of_these_tests_has_118_bytes() -> None:
    assert len(huge_jpeg()) == 118


def test_the_limit_on_pixels_can_be_set() -> None:
    with pytest.raises(MediaError, match=r"claims 512 x 600 pixels, more than 0\.3 megapixels"):
        read_image(PHOTO, max_pixels=300_000)


def test_folders_pipes_and_missing_files_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    for name, reason in (
        ("", "a folder"),
        ("pipe.jpg", "not a regular file"),
        ("x", "no such file"),
    ):
        for read in (read_image, VideoReader):
            with pytest.raises(MediaError, match=reason):
                read(tmp_path / name)


def test_a_file_without_permission_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret.jpg").write_bytes(JPEG)
    (tmp_path / "secret.jpg").chmod(0)
    monkeypatch.chdir(tmp_path)  # by its bare name, so that only the file itself is unreadable
    if root := os.geteuid() == 0:
        os.seteuid(65534)
    try:
        with pytest.raises(MediaError, match="permission denied"):
            read_image(Path("secret.jpg"))
    finally:
        if root:
            os.seteuid(0)


@pytest.mark.parametrize(
    "name", [b"two words.jpg", b"two\nlines.jpg", b"latin-\xe9.jpg", b"100%d.jpg"]
)
def test_a_file_name_may_be_anything_the_system_allows(tmp_path: Path, name: bytes) -> None:
    path = tmp_path / os.fsdecode(name)
    path.write_bytes(PNG)
    assert np.array_equal(read_image(path), RGB)
    clip = write_video(tmp_path / "clip.avi", frames(3), codec="MJPG", fps=10)
    clip = clip.rename(path.with_suffix(".avi"))
    assert len(list(VideoReader(clip))) == 3
    assert list(expand_inputs([str(tmp_path)])) == sorted([path, clip])


def test_reading_bad_files_prints_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    clip = write_video(tmp_path / "a.webm", frames(9), codec="VP80", fps=10)
    capfd.readouterr()
    for name, data in (
        ("b.webm", clip.read_bytes()[:900]),
        ("c.tif", encoded(IMAGE, "TIFF")[:-400]),
    ):
        (tmp_path / name).write_bytes(data)
    list(VideoReader(tmp_path / "b.webm"))
    with pytest.raises(MediaError):
        read_image(tmp_path / "c.tif")
    assert capfd.readouterr() == ("", "")
