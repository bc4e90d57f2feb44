"""Real-world videos: damaged, trimmed, cut, rotated; decoded in this process and in another."""

from __future__ import annotations

import io
import itertools
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from fer_jax.media.images import MediaError
from fer_jax.media.video import Video, VideoReader
from fer_jax.media.video_decoder import VideoDecoder
from fer_jax.media.video_header import is_cut
from tests.faces.sample_media import bar_of, frames, write_video
from tests.media.sample_videos import (
    EVERY_FRAME_WHOLE,
    encode,
    ffmpeg,
    without_blocks,
    without_jpeg,
)
from tests.shared_files import shared_file

Opener = Callable[..., Video]
H264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "6", "-bf", "2")


@pytest.fixture(scope="module")
def decoder() -> Iterator[VideoDecoder]:
    with VideoDecoder(max_pixels=4_000_000) as decoder:
        yield decoder


@pytest.fixture(params=["in this process", "in another"])
def opened(request: pytest.FixtureRequest, decoder: VideoDecoder) -> Opener:
    return VideoReader if request.param == "in this process" else decoder.opened


def read(video: Video) -> tuple[list[int], list[float]]:
    """Bars and times of all frames."""
    seen = [(bar_of(frame.image), frame.time_s) for frame in video]
    return [bar for bar, _ in seen], [time_s for _, time_s in seen]


def test_frames_hidden_by_an_edit_list_are_not_evidence_of_a_cut(
    tmp_path: Path, opened: Opener
) -> None:
    whole = encode(tmp_path / "whole.mp4", frames(18), *H264)
    ffmpeg("-ss", "0.85", "-i", whole, "-c", "copy", tmp_path / "trimmed.mp4")
    video = opened(tmp_path / "trimmed.mp4")
    bars, times = read(video)
    assert bars[-1] == 17
    assert 9 <= len(bars) < video.frame_count  # the group's first frames exist but are hidden
    assert np.diff(times) == pytest.approx(0.1)
    assert (video.ended_early, video.note) == (None, None)


def test_a_trimmed_clip_gives_the_frames_that_a_player_shows(opened: Opener) -> None:
    video = opened(shared_file("cases/trimmed_mp4/no_face.mp4"))
    assert sum(1 for _ in video) == 95
    assert (video.ended_early, video.note) == (None, None)


@pytest.mark.parametrize("ending", [".mkv", ".avi", ".mp4"])
def test_a_frame_that_cannot_be_decoded_costs_only_itself(
    tmp_path: Path, opened: Opener, ending: str
) -> None:
    clip = encode(tmp_path / f"clip{ending}", frames(12), *EVERY_FRAME_WHOLE)
    clip.write_bytes(without_jpeg(without_jpeg(clip.read_bytes(), 4), 6))
    video = opened(clip)
    bars, times = read(video)
    rest = [0, 1, 2, 3, 5, 6, 8, 9, 10, 11]  # the first is gone when the second is counted
    assert bars == rest
    assert times == pytest.approx([number / 10 for number in rest])
    assert video.note == "2 of 12 frames could not be decoded"
    assert video.ended_early is None


@pytest.mark.parametrize(("ending", "header"), [(".mkv", 7), (".avi", 8)])
def test_frames_lost_without_a_trace_are_counted_and_the_others_keep_their_times(
    tmp_path: Path, opened: Opener, ending: str, header: int
) -> None:
    clip = encode(tmp_path / f"clip{ending}", frames(18), *EVERY_FRAME_WHOLE)
    clip.write_bytes(without_blocks(clip.read_bytes(), 7, 9, header=header))
    video = opened(clip)
    bars, times = read(video)
    assert bars[:7] == list(range(7))
    assert bars[-5:] == list(range(13, 18))  # what follows may be lost until FFmpeg finds a block
    assert times == pytest.approx([bar / 10 for bar in bars])
    assert video.note == f"{18 - len(bars)} of 18 frames could not be decoded"
    assert video.ended_early is None


def test_a_lost_remainder_is_counted(tmp_path: Path, opened: Opener) -> None:
    clip = encode(tmp_path / "clip.mkv", frames(24), *EVERY_FRAME_WHOLE)
    clip.write_bytes(without_blocks(clip.read_bytes(), 8, 23, header=7))
    video = opened(clip)
    assert len(read(video)[0]) in (8, 9)
    assert video.note is not None
    assert video.note.endswith("of 24 frames could not be decoded")


def test_gaps_alone_are_not_evidence_of_a_loss(tmp_path: Path, opened: Opener) -> None:
    kept = "select='not(between(n,7,11))'"
    for name, options in (
        ("gap.mkv", (kept,)),
        ("gap.avi", (kept,)),
        ("variable.mkv", ("mpdecimate",)),
    ):
        images = [image for image in frames(6) for _ in range(3)]
        clip = encode(
            tmp_path / name, images, *EVERY_FRAME_WHOLE, "-vf", *options, "-fps_mode", "vfr"
        )
        video = opened(clip)
        assert len(read(video)[0]) < 18
        assert (video.ended_early, video.note) == (None, None)


def test_a_clip_with_a_damaged_middle_is_read_to_its_end(opened: Opener) -> None:
    video = opened(shared_file("cases/damaged_middle/damaged.mp4"))
    times = [frame.time_s for frame in video]
    assert len(times) == 272
    assert times[-1] == pytest.approx(274 / 29.97, abs=0.02)
    assert video.note == "3 of 275 frames could not be decoded"
    assert video.ended_early is None


def test_repeated_frames_are_neither_lost_nor_the_end(tmp_path: Path, opened: Opener) -> None:
    images = [frame for frame in frames(6) for _ in range(3)]
    clip = encode(tmp_path / "clip.ogv", images, "-c:v", "libtheora", "-q:v", "10")
    video = opened(clip)
    bars, times = read(video)
    assert sorted(set(bars)) == list(range(6))
    assert times[-1] >= 1.5
    assert (video.ended_early, video.note) == (None, None)


def test_a_stream_that_starts_within_a_group_is_read_from_the_first_decodable_frame(
    tmp_path: Path, opened: Opener
) -> None:
    clip = encode(tmp_path / "clip.ts", frames(18), *H264, "-b:v", "400k")
    data = clip.read_bytes()
    first = next(at for at in itertools.count(188 * 3, 188) if at > len(data) // 6)
    clip.write_bytes(data[first:])
    video = opened(clip)
    bars, times = read(video)
    assert bars == list(range(bars[0], 18))
    assert np.diff(times) == pytest.approx(0.1, abs=1e-3)
    assert video.ended_early is None


def test_time_continues_where_two_recordings_of_different_sizes_were_joined(
    tmp_path: Path, opened: Opener
) -> None:
    small, large = frames(6), [np.kron(frame, np.ones((2, 2, 1), np.uint8)) for frame in frames(6)]
    parts = [encode(tmp_path / f"{n}.ts", images, *H264) for n, images in enumerate((small, large))]
    clip = tmp_path / "clip.ts"
    clip.write_bytes(b"".join(part.read_bytes() for part in parts))
    video = opened(clip)
    seen = [(frame.image.shape, frame.time_s) for frame in video]
    assert [shape for shape, _ in seen] == [(96, 128, 3)] * 6 + [(192, 256, 3)] * 6
    assert np.diff([time_s for _, time_s in seen]) == pytest.approx(0.1, abs=1e-3)


def test_a_video_that_changes_size_keeps_all_its_frames(opened: Opener) -> None:
    shapes = [
        frame.image.shape[:2] for frame in opened(shared_file("cases/picture_turns/change.mkv"))
    ]
    assert shapes == [(336, 596)] * 30 + [(720, 1280)] * 30 + [(596, 336)] * 30


@pytest.mark.parametrize(("aspect", "size"), [("4/3", (171, 96)), ("3/4", (128, 128))])
def test_pixels_are_made_square(
    tmp_path: Path, opened: Opener, aspect: str, size: tuple[int, int]
) -> None:
    clip = encode(tmp_path / "clip.mp4", frames(3), *H264, "-vf", f"setsar={aspect}")
    video = opened(clip)
    images = [frame.image for frame in video]
    assert (video.width, video.height) == size
    assert {image.shape for image in images} == {(size[1], size[0], 3)}
    assert images[0][-5, size[0] // 2 - 12, 2] > 120  # blue to just left of the middle
    assert images[0][-5, size[0] // 2 + 12, 1] > 120


def test_the_default_one_of_several_tracks_is_read(tmp_path: Path, opened: Opener) -> None:
    one, two = (
        encode(tmp_path / f"{n}.mkv", images, *EVERY_FRAME_WHOLE)
        for n, images in enumerate((frames(8), frames(8)[4:]))
    )
    both, second = tmp_path / "both.mkv", tmp_path / "second.mkv"
    merge = ("-i", one, "-i", two, "-map", "0", "-map", "1", "-c", "copy", "-disposition:v:0")
    ffmpeg(*merge, "default", "-disposition:v:1", "0", both)
    ffmpeg(*merge, "0", "-disposition:v:1", "default", second)
    assert read(opened(both))[0] == list(range(8))
    assert read(opened(second))[0] == list(range(4, 8))


def test_audio_is_not_a_video_even_with_cover_art(tmp_path: Path, opened: Opener) -> None:
    cover = encode(tmp_path / "cover.jpg", frames(1), "-frames:v", "1")
    sound = ("-f", "lavfi", "-i", "sine=duration=1", "-c:a", "aac")
    ffmpeg(*sound, tmp_path / "sound.m4a")
    ffmpeg(
        *("-i", tmp_path / "sound.m4a", "-i", cover, "-map", "0", "-map", "1", "-c", "copy"),
        *("-disposition:v", "attached_pic", tmp_path / "cover.m4a"),
    )
    with pytest.raises(MediaError, match="holds only sound; a video is expected"):
        opened(tmp_path / "sound.m4a")
    with pytest.raises(MediaError, match="only sound and a cover image"):
        opened(tmp_path / "cover.m4a")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("c.mp4", ("-movflags", "frag_keyframe+empty_moov")),
        ("c.mkv", ()),
        ("c.mkv", ("-live", "1")),
        ("c.avi", ()),
    ],
)
def test_a_truncation_is_distinguished_from_damage_and_from_trailing_data(
    tmp_path: Path, name: str, options: tuple[str, ...]
) -> None:
    clip = encode(tmp_path / name, frames(18), *EVERY_FRAME_WHOLE, *options)
    data = clip.read_bytes()
    for kept in (0.45, 0.63, 0.9):
        assert is_cut(io.BytesIO(data[: int(kept * len(data))]))
    assert not is_cut(io.BytesIO(data))
    assert not is_cut(io.BytesIO(without_jpeg(data, 7)))
    assert not is_cut(io.BytesIO(data + bytes(100)))
    assert not is_cut(io.BytesIO(data + b"notes of a camera that end nowhere"))


def test_a_crash_costs_one_video_and_no_image_still_in_use(
    tmp_path: Path, decoder: VideoDecoder
) -> None:
    clip = write_video(tmp_path / "clip.avi", frames(20), codec="MJPG", fps=10)
    images = iter(decoder.opened(clip))
    held = [next(images).image]
    assert decoder.pid is not None
    os.kill(decoder.pid, signal.SIGSEGV)
    with pytest.raises(MediaError, match=r"decoder crashed \(SIGSEGV\) after frame \d"):
        held.extend(frame.image for frame in images)  # a few frames were ready
    assert len(held) < 20
    assert read(decoder.opened(clip))[0] == list(range(20))
    assert [bar_of(image) for image in held] == list(range(len(held)))


def test_a_process_that_died_while_idle_costs_no_video(
    tmp_path: Path, decoder: VideoDecoder
) -> None:
    clip = write_video(tmp_path / "clip.avi", frames(3), codec="MJPG", fps=10)
    list(decoder.opened(clip))
    assert decoder.pid is not None
    os.kill(decoder.pid, signal.SIGKILL)
    os.waitid(os.P_PID, decoder.pid, os.WEXITED | os.WNOWAIT)
    left = decoder.opened(clip)
    assert read(decoder.opened(clip))[0] == [0, 1, 2]
    assert list(left) == []  # one video at a time


def test_every_image_stays_unchanged_however_many_are_held(
    tmp_path: Path, decoder: VideoDecoder
) -> None:
    clip = write_video(tmp_path / "clip.avi", frames(20), codec="MJPG", fps=10)
    seen = [list(decoder.opened(clip)) for _ in range(3)]
    for held in seen:
        assert [bar_of(frame.image) for frame in held] == list(range(20))


def test_a_video_that_is_left_early_does_not_delay_the_next(
    tmp_path: Path, decoder: VideoDecoder
) -> None:
    clip = write_video(tmp_path / "clip.avi", frames(20), codec="MJPG", fps=10)
    list(decoder.opened(clip))
    pid = decoder.pid
    for _ in range(10):
        with decoder.opened(clip) as video:
            assert next(iter(video)).index == 0
    assert read(decoder.opened(clip, every=7))[0] == [0, 7, 14]
    assert decoder.pid == pid  # none of them had to be killed


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_process_has_no_secrets_no_network_and_bounded_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FER_TOKEN", "open-sesame")
    clip = write_video(tmp_path / "clip.avi", frames(2), codec="MJPG", fps=10)
    with VideoDecoder(max_pixels=1_000_000) as decoder:
        assert len(list(decoder.opened(clip))) == 2
        folder = Path(f"/proc/{decoder.pid}")
        try:
            environment = (folder / "environ").read_bytes()
            network = os.readlink(folder / "ns/net")
        except PermissionError:
            pytest.skip("only root may inspect a protected process")
        assert b"sesame" not in environment
        limits = (folder / "limits").read_text().splitlines()
        values = {line[:26].strip(): line[26:].split()[0] for line in limits}
        assert int(values["Max address space"]) < 6 << 30
        assert values["Max core file size"] == "0"
        assert network != os.readlink("/proc/self/ns/net")
