from __future__ import annotations

import os
import signal
import struct
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fer_jax.media.decoder import Decoder
from server.access.refusal import ApiError
from server.api.uploads import Upload, decoded
from tests.media import hostile_images as hostile
from tests.server.live_server import LiveServer
from tests.server.upload_samples import photo_jpeg, post, saved
from tests.shared_files import shared_file


def png_bomb(side: int) -> bytes:
    """A valid PNG of a single colour: small to send, large to decode."""
    return hostile.png(hostile.grey_header(side, side), hostile.grey_rows(side, side), hostile.END)


def with_exif_thumbnail() -> bytes:
    """A JPEG with another complete JPEG in its header."""
    thumbnail, data = saved("JPEG", size=(16, 16)), saved("JPEG")
    segment = b"Exif\0\0" + thumbnail
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + data[2:]


@pytest.mark.parametrize(
    ("image", "size"),
    [
        (saved("PNG", mode="L"), (64, 48)),
        (saved("PNG", mode="RGBA"), (64, 48)),
        (saved("JPEG", mode="CMYK"), (64, 48)),
        (saved("JPEG", progressive=True), (64, 48)),
        (saved("WEBP"), (64, 48)),
        (saved("GIF"), (64, 48)),
        (saved("BMP"), (64, 48)),
        (with_exif_thumbnail(), (64, 48)),
        (saved("JPEG") + saved("JPEG", size=(32, 32)), (64, 48)),
        (saved("JPEG", size=(1, 1)), (1, 1)),
        (hostile.animated_png(), (20, 20)),
        (hostile.text_bomb(), (8, 8)),
    ],
    ids=[
        "grey",
        "rgba",
        "cmyk",
        "progressive",
        "webp",
        "gif",
        "bmp",
        "exif",
        "two-images",
        "one-pixel",
        "animation",
        "text-bomb",
    ],
)
def test_unusual_images_are_accepted(live: LiveServer, image: bytes, size: tuple[int, int]):
    (found,) = post(live, image).json["images"]
    assert (found["width"], found["height"]) == size


@pytest.mark.parametrize(
    ("image", "status", "code"),
    [
        (b"", 422, "bad_image"),
        (b"\0" * 1000, 422, "bad_image"),
        (b"no image at all", 422, "bad_image"),
        (b"\xff\xd8\xff\xd8\xff\xd9", 422, "bad_image"),
        (b"\xff\xd8", 422, "bad_image"),
        (photo_jpeg()[:20_000], 422, "bad_image"),
        (b"\xff\xd8" + photo_jpeg(), 422, "bad_image"),
        (saved("PNG")[:-20], 422, "bad_image"),
        (hostile.many_scans(saved("JPEG", progressive=True), 5000), 422, "bad_image"),
        (hostile.vp8l_without_chunk(), 422, "bad_image"),
        (saved("TIFF"), 415, "unsupported_image"),
        (png_bomb(20_000), 413, "too_many_pixels"),
        (b"\0" * (8 * 2**20 + 1), 413, "too_large"),
    ],
    ids=[
        "empty",
        "zeros",
        "text",
        "two-starts",
        "start",
        "cut",
        "start-start",
        "cut-png",
        "scan-bomb",
        "vp8l",
        "tiff",
        "png-bomb",
        "bytes",
    ],
)
def test_hostile_images_are_refused_quickly(live: LiveServer, image: bytes, status: int, code: str):
    started_s = time.monotonic()
    refused = post(live, image)
    assert (refused.status, refused.code) == (status, code)
    assert time.monotonic() - started_s < 5


@pytest.mark.parametrize("name", ["apng_grey.png", "apng_broken.png", "vp8l_without_chunk.webp"])
def test_images_that_once_killed_the_server_are_answered(live: LiveServer, name: str):
    answer = post(live, shared_file(f"cases/hostile/{name}").read_bytes())
    assert answer.status in (200, 422)
    assert post(live, saved("PNG")).status == 200


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data(), kind=st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "BMP"]))
def test_flipped_bytes_give_an_answer_or_a_refusal_and_never_a_failure(
    live: LiveServer, data: st.DataObject, kind: str
):
    image = bytearray(saved(kind))
    for _ in range(data.draw(st.integers(1, 8))):
        image[data.draw(st.integers(0, len(image) - 1))] = data.draw(st.integers(0, 255))
    answer = post(live, bytes(image))
    if answer.status != 200:
        assert answer.status in (413, 415, 422)
        assert answer.code in ("bad_image", "too_many_pixels", "unsupported_image")


def test_a_late_image_is_not_reported_as_damaged():
    with Decoder() as decoder:
        assert decoder.wait_ready(30)
        assert decoder.pid
        os.kill(decoder.pid, signal.SIGSTOP)  # like on a busy machine
        upload = Upload("photo.jpg", photo_jpeg())
        with pytest.raises(ApiError) as refused, decoded(upload, decoder, seconds=0.2):
            raise AssertionError
    assert (refused.value.status, refused.value.code) == (504, "decoder_late")
