"""Image formats beyond the usual six, read completely and upright or refused, and raw files."""

from __future__ import annotations

import io
import struct
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from fer_jax.media import pillow_images
from fer_jax.media.decoder import Decoder
from fer_jax.media.image_errors import BadImageError, TooManyPixelsError
from fer_jax.media.inputs import expand_inputs
from tests.faces.sample_media import photo

WIDTH, HEIGHT = 64, 80
RGB = cv2.resize(photo(), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
IMAGE = Image.fromarray(RGB)
GREY = np.asarray(IMAGE.convert("L"))
TURNED = IMAGE.rotate(90, expand=True)
ORIENTATION, ITS_PLACE = 274, 277  # the second is any other short integer tag of an image


def quarter_turn(*tags: int) -> bytes:
    """EXIF with a quarter turn under each of these tags; as bytes, so that Pillow removes nothing."""
    exif = Image.Exif()
    exif.update(dict.fromkeys(tags, 6))
    return exif.tobytes()


def encoded(source: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    source.save(file, kind, **options)
    return file.getvalue()


def heic(source: Image.Image = IMAGE, **options: object) -> bytes:
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    return encoded(source, "HEIF", quality=95, **options)


def with_exif_turn(data: bytes) -> bytes:
    """Turns the placeholder tag into the orientation, which encoders do not write."""
    placed, turn = (struct.pack(">HHIH", tag, 3, 1, 6) for tag in (ITS_PLACE, ORIENTATION))
    assert data.count(placed) == 1
    return data.replace(placed, turn)


def by_opencv(ending: str, values: np.ndarray) -> bytes:
    return cv2.imencode(ending, values)[1].tobytes()


def sixteen_bit_pgm() -> bytes:
    return b"P5 %d %d 65535\n" % (WIDTH, HEIGHT) + (GREY.astype(">u2") * 257).tobytes()


PAM = b"P7\nWIDTH %d\nHEIGHT %d\nDEPTH 3\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\n"

FORMATS = {
    "a.ppm": lambda: encoded(IMAGE, "PPM"),
    "plain.ppm": lambda: (
        b"P3 %d %d 255 " % (WIDTH, HEIGHT) + b" ".join(b"%d" % v for v in RGB.flat)
    ),
    "a.pgm": lambda: encoded(IMAGE.convert("L"), "PPM"),
    "sixteen.pgm": sixteen_bit_pgm,
    "a.jp2": lambda: encoded(IMAGE, "JPEG2000"),
    "a.j2k": lambda: encoded(IMAGE, "JPEG2000", no_jp2=True),
    "big.tif": lambda: encoded(IMAGE, "TIFF", big_tiff=True),
    "a.avif": lambda: encoded(IMAGE, "AVIF", quality=95),
    "turned.avif": lambda: encoded(TURNED, "AVIF", quality=95, exif=quarter_turn(ORIENTATION)),
    "turned twice over.avif": lambda: with_exif_turn(
        encoded(TURNED, "AVIF", quality=95, exif=quarter_turn(ORIENTATION, ITS_PLACE))
    ),
    "turned by exif alone.avif": lambda: with_exif_turn(
        encoded(IMAGE, "AVIF", quality=95, exif=quarter_turn(ITS_PLACE))
    ),
    "a.heic": heic,
    "turned twice over.heic": lambda: heic(TURNED, exif=quarter_turn(ORIENTATION)),
    "turned by exif alone.heic": lambda: with_exif_turn(heic(exif=quarter_turn(ITS_PLACE))),
    "a.tga": lambda: encoded(IMAGE, "TGA"),
    "a.pcx": lambda: encoded(IMAGE, "PCX"),
    "a.qoi": lambda: encoded(IMAGE, "QOI"),
    "a.sgi": lambda: encoded(IMAGE, "SGI"),
    "a.pam": lambda: PAM % (WIDTH, HEIGHT) + RGB.tobytes(),
    "a.pfm": lambda: by_opencv(".pfm", RGB[..., ::-1].astype(np.float32) / 255),
    "a.hdr": lambda: by_opencv(".hdr", RGB[..., ::-1].astype(np.float32) / 255),
}


@pytest.fixture(scope="module")
def decoder():
    with Decoder(max_pixels=1_000_000) as decoder:
        yield decoder


@pytest.mark.parametrize("name", FORMATS)
def test_an_image_of_any_format_comes_back_upright(
    tmp_path: Path, decoder: Decoder, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(FORMATS[name]())
    grey = np.repeat(GREY[..., None], 3, axis=2) if path.suffix == ".pgm" else RGB
    with decoder.opened(path) as image:
        assert (image.shape, image.dtype) == (RGB.shape, np.uint8)
        assert np.abs(image.astype(int) - grey).mean() < 6
    assert list(expand_inputs([str(tmp_path)])) == [path]


def test_rotated_samples_hold_the_markers_that_their_names_claim() -> None:
    for kind in ("avif", "heic"):
        twice, exif_alone = (
            FORMATS[f"turned {how}.{kind}"]() for how in ("twice over", "by exif alone")
        )
        assert [b"irot" in data for data in (twice, exif_alone)] == [True, False]
        turn = struct.pack(">HHIH", ORIENTATION, 3, 1, 6)
        assert all(turn in data for data in (twice, exif_alone))


def test_a_large_claimed_size_is_refused_before_decoding() -> None:
    with Decoder(max_pixels=1000) as decoder:
        for name in ("a.ppm", "a.jp2", "big.tif", "a.avif", "a.pcx", "a.heic"):
            with pytest.raises(TooManyPixelsError, match="claims 64 x 80 pixels"):
                decoder.decoded(FORMATS[name]()).__enter__()
        for name in ("a.pam", "a.hdr", "a.pfm"):  # OpenCV's own limit
            with pytest.raises(BadImageError):
                decoder.decoded(FORMATS[name]()).__enter__()
        huge = b"P6 60000 60000 255\n"
        with pytest.raises(TooManyPixelsError):
            decoder.decoded(huge).__enter__()


@pytest.mark.parametrize(
    "name", ["a.ppm", "a.jp2", "big.tif", "a.avif", "a.heic", "a.tga", "a.pam"]
)
def test_a_truncated_image_is_refused(decoder: Decoder, name: str) -> None:
    data = FORMATS[name]()
    with pytest.raises(BadImageError):
        decoder.decoded(data[: len(data) // 2]).__enter__()


def test_a_damaged_jpeg_is_not_tried_with_another_decoder(decoder: Decoder) -> None:
    data = encoded(IMAGE, "JPEG")
    with pytest.raises(BadImageError, match="cut short"):
        decoder.decoded(data[:-200]).__enter__()


def test_without_its_library_a_heic_image_is_refused_with_what_to_install(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = heic()
    monkeypatch.setattr(pillow_images, "_FORMATS", ["PPM"])
    with pytest.raises(BadImageError, match=r'pip install "fer_jax\[heif\]"'):
        pillow_images.decode(data, max_pixels=10_000)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_all_formats_are_decoded_in_the_confined_process(decoder: Decoder) -> None:
    with decoder.decoded(FORMATS["a.avif"]()):
        maps = Path(f"/proc/{decoder.pid}/maps").read_text()
    assert "_avif" in maps
