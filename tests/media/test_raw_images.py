"""Raw files of cameras are refused; images that look like them are read."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from fer_jax.media.decoder import Decoder
from fer_jax.media.images import MediaError
from fer_jax.media.kinds import media_kind
from tests.faces.sample_media import PHOTO, photo

JPEG = PHOTO.read_bytes()


@pytest.fixture(scope="module")
def decoder():
    with Decoder(max_pixels=1_000_000) as decoder:
        yield decoder


def raw_tiff(*tags: tuple[int, int, int]) -> bytes:
    """A TIFF of a small grey image, with further (tag, type, value) entries."""
    pixels = bytes(16 * 16)
    usual = [(256, 3, 16), (257, 3, 16), (258, 3, 8), (259, 3, 1), (262, 3, 1), (278, 3, 16)]
    entries = sorted([*usual, *tags, (279, 4, len(pixels)), (273, 4, 0)])
    start = 8 + 2 + 12 * len(entries) + 4
    packed = b"".join(
        struct.pack("<HHII", tag, kind, 1, start if tag == 273 else value)
        for tag, kind, value in entries
    )
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + packed + bytes(4) + pixels


RAW = {
    "dng by its tag.tif": raw_tiff((50706, 1, 1)),
    "thumbnail of a nef.tif": raw_tiff((254, 4, 1), (330, 4, 8)),
    "a.nef": raw_tiff(),
    "A.ARW": raw_tiff(),
    "a.cr2": raw_tiff()[:8] + b"CR\2\0" + raw_tiff()[12:],
    "cr3 by its bytes": b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + bytes(400),
    "a.raf": b"FUJIFILMCCD-RAW 0201" + bytes(100) + JPEG,
    "a.x3f": b"FOVb" + bytes(100),
}


@pytest.mark.parametrize("name", RAW)
def test_the_thumbnail_of_a_raw_file_never_counts_as_the_photograph(
    tmp_path: Path, decoder: Decoder, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(RAW[name])
    assert media_kind(path) != "video"
    with pytest.raises(MediaError, match="raw camera file; export it as JPEG or TIFF"):
        decoder.opened(path).__enter__()


def test_a_jpeg_with_a_raw_name_and_a_small_tiff_are_images(
    tmp_path: Path, decoder: Decoder
) -> None:
    (tmp_path / "a.nef").write_bytes(JPEG)
    (tmp_path / "a.tif").write_bytes(raw_tiff())
    with decoder.opened(tmp_path / "a.nef") as image:
        assert image.shape == photo().shape
    with decoder.opened(tmp_path / "a.tif") as image:
        assert image.shape == (16, 16, 3)
