"""Which files the inputs of a command name, and whether they are images or videos."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from PIL import Image

from fer_jax.media.inputs import expand_inputs
from fer_jax.media.kinds import IMAGE_SUFFIXES, VIDEO_SUFFIXES, media_kind
from tests.faces.sample_media import PHOTO, frames, photo, write_video


def test_a_folder_gives_its_media_sorted_and_follows_each_link_once(tmp_path: Path) -> None:
    for name in ("b/2.JPG", "b/1.png", "a.mp4", "notes.txt", ".hidden.jpg", "no_suffix", "z.jpg"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(PHOTO.read_bytes() if name == "no_suffix" else b"text")
    (tmp_path / "in/b/loop").symlink_to(tmp_path / "in")
    (tmp_path / "in/c").symlink_to(tmp_path / "in/b")
    (tmp_path / "in/gone.jpg").symlink_to(tmp_path / "nowhere")
    found = list(expand_inputs([str(tmp_path / "in")]))
    names = ["a.mp4", "b/1.png", "b/2.JPG", "gone.jpg", "no_suffix", "z.jpg"]
    assert [str(path.relative_to(tmp_path / "in")) for path in found] == names


def test_named_files_patterns_and_missing_names_are_all_passed_on_in_order(tmp_path: Path) -> None:
    for name in ("x/2.jpg", "x/1.jpg", "x/y/3.jpg", "odd[1].jpg", "odd1.jpg", "notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"text")
    inputs = ["notes.txt", "x/*.jpg", "**/3.jpg", "odd[1].jpg", "none*.jpg", "gone.jpg"]
    found = list(expand_inputs([str(tmp_path / name) for name in inputs]))
    expected = [
        "notes.txt",
        "x/1.jpg",
        "x/2.jpg",
        "x/y/3.jpg",
        "odd[1].jpg",
        "none*.jpg",
        "gone.jpg",
    ]
    assert [str(path.relative_to(tmp_path)) for path in found] == expected


@pytest.mark.parametrize("separator", [b"\n", b"\0"])
def test_a_list_on_standard_input_is_read_whatever_separates_it(
    tmp_path: Path, separator: bytes
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "p.jpg").write_bytes(PHOTO.read_bytes())
    odd = b"caf\xe9 *.jpg" if separator == b"\n" else b"two\nlines\xe9.jpg"
    names = [odd, os.fsencode(tmp_path / "in"), *(b"%d.jpg" % k for k in range(20_000))]
    stream = io.BytesIO(separator.join(names) + separator)
    found = list(expand_inputs(["first.jpg", "-"], stream))
    assert [os.fsencode(path) for path in found[:3]] == [b"first.jpg", odd, names[1] + b"/p.jpg"]
    assert len(found) == 20_003


def test_content_decides_between_image_and_video_before_the_name(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.avi", frames(2), codec="MJPG", fps=10)
    assert media_kind(clip.rename(tmp_path / "clip.jpg")) == "video"
    (tmp_path / "photo.mp4").write_bytes(PHOTO.read_bytes())
    (tmp_path / "text.txt").write_text("text")
    kinds = [
        media_kind(tmp_path / name) for name in ("photo.mp4", "gone.mov", "gone.jpg", "text.txt")
    ]
    assert kinds == ["image", "video", "image", None]


def test_no_file_named_like_an_image_or_video_is_skipped(tmp_path: Path) -> None:
    for ending in IMAGE_SUFFIXES | VIDEO_SUFFIXES:
        (tmp_path / f"a{ending.upper()}").write_text("something else")
    (tmp_path / "notes.txt").write_text("no image")
    Image.fromarray(photo()).save(tmp_path / "without a name", "JPEG2000")
    found = {path.name for path in expand_inputs([str(tmp_path)])}
    assert len(found) == len(IMAGE_SUFFIXES | VIDEO_SUFFIXES) + 1
    assert "notes.txt" not in found
