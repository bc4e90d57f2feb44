"""Animations and pages: all frames at their times, in the expendable process, within its limits."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_jax.media.animation import is_animation
from fer_jax.media.images import MediaError
from fer_jax.media.video_decoder import VideoDecoder
from fer_jax.scoring.views import views
from tests.media.hostile_images import animated_png, with_frame_control_twice

COLOURS = [(220, 30, 30), (30, 200, 30), (30, 30, 210)]
IMAGES = [Image.new("RGB", (40, 30), colour) for colour in COLOURS]
DURATIONS = [100, 250, 40]  # milliseconds


def encoded(kind: str, images: list[Image.Image] = IMAGES, **options: object) -> bytes:
    file = io.BytesIO()
    images[0].save(file, kind, save_all=True, append_images=images[1:], **options)
    return file.getvalue()


MOVING = {
    "a.gif": lambda: encoded("GIF", duration=DURATIONS, loop=0),
    "a.webp": lambda: encoded("WEBP", duration=DURATIONS, quality=95),
    "a.png": lambda: encoded("PNG", duration=DURATIONS),
    "a.avif": lambda: encoded("AVIF", duration=DURATIONS, quality=95),
}
PAGES = {
    "a.tif": lambda: encoded("TIFF"),
    "packed.tif": lambda: encoded("TIFF", compression="tiff_lzw"),
    "big.tif": lambda: encoded("TIFF", big_tiff=True),
}


@pytest.fixture(scope="module")
def decoder():
    with VideoDecoder(max_pixels=100_000) as decoder:
        yield decoder


def frames(path: Path, decoder: VideoDecoder, *, first_frame: bool = False) -> list:
    return list(views([path], decoder.opened, first_frame=first_frame))


@pytest.mark.parametrize("name", [*MOVING, *PAGES])
def test_all_frames_have_their_colours_and_times(
    tmp_path: Path, decoder: VideoDecoder, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes((MOVING | PAGES)[name]())
    *seen, end = frames(path, decoder)
    times = [0, 0.1, 0.35] if name in MOVING else [0, 1, 2]
    assert [view.frame.time_s for view in seen] == pytest.approx(times, abs=2e-3)
    for view, colour in zip(seen, COLOURS, strict=True):
        assert np.abs(view.frame.image.mean(axis=(0, 1)) - colour).max() < 12
    assert (end.error, end.note, end.ends_input) == (None, None, True)
    (first,) = frames(path, decoder, first_frame=True)
    assert not first.video


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "AVIF", "TIFF"])
def test_one_frame_is_not_an_animation(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a"
    IMAGES[0].save(path, kind)
    assert not is_animation(path)
    path.write_bytes(path.read_bytes()[:20])
    assert not is_animation(path)


def test_a_smaller_copy_of_a_page_is_not_a_page(tmp_path: Path, decoder: VideoDecoder) -> None:
    path = tmp_path / "a.tif"
    small = IMAGES[1].copy()
    small.encoderinfo = {"tiffinfo": {254: 1}}
    path.write_bytes(encoded("TIFF", [IMAGES[0], small]))
    assert not is_animation(path)
    path.write_bytes(encoded("TIFF", [IMAGES[0], small, IMAGES[2]]))
    *seen, _ = frames(path, decoder)
    assert [int(view.frame.image.mean(axis=(0, 1)).argmax()) for view in seen] == [0, 2]


def test_pages_of_different_sizes_keep_their_sizes(tmp_path: Path, decoder: VideoDecoder) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(encoded("TIFF", [IMAGES[0], IMAGES[1].resize((10, 60))]))
    *seen, _ = frames(path, decoder)
    assert [view.frame.image.shape for view in seen] == [(30, 40, 3), (60, 10, 3)]


def test_truncated_frames_are_counted_and_the_rest_is_read(
    tmp_path: Path, decoder: VideoDecoder
) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (3, 60, 80, 3), np.uint8)
    data = encoded("GIF", [Image.fromarray(image) for image in noise])
    path = tmp_path / "a.gif"
    path.write_bytes(data[: len(data) * 5 // 6])
    *seen, end = frames(path, decoder)
    assert len(seen) == 2
    assert end.note == "1 of 3 frames could not be decoded"


def test_frames_over_the_limit_are_refused_and_later_ones_counted(
    tmp_path: Path, decoder: VideoDecoder
) -> None:
    large = Image.new("RGB", (400, 300))
    path = tmp_path / "a.tif"
    path.write_bytes(encoded("TIFF", [large, large]))
    with pytest.raises(MediaError, match=r"more than 0\.1 megapixels; --first-frame"):
        decoder.opened(path)
    path.write_bytes(encoded("TIFF", [IMAGES[0], large]))
    *seen, end = frames(path, decoder)
    assert (len(seen), end.note) == (1, "1 of 2 frames could not be decoded")


@pytest.mark.parametrize(
    "data",
    [
        b"II+\0" + struct.pack("<HHQ", 8, 0, 2**64 - 1),  # a directory beyond the end of any file
        b"\x89PNG\r\n\x1a\n" + bytes(12 * 400_000),  # chunks without end
        b"GIF89a" + bytes(7) + b"!\xff" + b"\1a" * 400_000,
    ],
)
def test_headers_that_lead_nowhere_are_not_an_animation_and_soon_abandoned(
    tmp_path: Path, data: bytes
) -> None:
    path = tmp_path / "a.image"
    path.write_bytes(data)
    assert not is_animation(path)


def test_directories_of_a_raw_file_are_not_pages(tmp_path: Path) -> None:
    path = tmp_path / "a.cr2"
    path.write_bytes(PAGES["a.tif"]())
    assert not is_animation(path)


def test_an_animation_that_killed_opencv_does_not_kill_the_process(
    tmp_path: Path, decoder: VideoDecoder
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(animated_png())
    assert len(frames(path, decoder)) == 4
    before = decoder.pid
    path.write_bytes(with_frame_control_twice(animated_png()))
    *_, end = frames(path, decoder)
    assert "crashed" not in (end.error or "")
    assert decoder.pid == before
