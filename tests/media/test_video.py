"""Frames of videos: which are read, their times, and where a video ends early."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fer_jax.media.images import MediaError
from fer_jax.media.video import VideoReader
from tests.faces.sample_media import bar_of, frames, shared_media, slowed_after, turned, write_video


def test_every_nth_frame_and_frames_per_second_are_sampled_by_their_timestamps(
    tmp_path: Path,
) -> None:
    clip = write_video(tmp_path / "clip.mp4", frames(12), codec="mp4v", fps=10)
    with VideoReader(clip) as video:
        assert (video.width, video.height, video.fps, video.frame_count) == (128, 96, 10, 12)
        seen = list(video)
    assert (
        [frame.index for frame in seen]
        == [bar_of(frame.image) for frame in seen]
        == list(range(12))
    )
    assert [frame.time_s for frame in seen] == pytest.approx([k / 10 for k in range(12)])
    assert np.abs(seen[0].image[80, 20].astype(int) - [0, 0, 200]).max() < 30
    assert [frame.index for frame in VideoReader(clip, every=5)] == [0, 5, 10]
    assert [frame.index for frame in VideoReader(clip, fps=4)] == [0, 3, 5, 8, 10]
    assert [frame.index for frame in VideoReader(clip, fps=30)] == list(range(12))


def test_a_variable_frame_rate_is_read_from_the_timestamps(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", frames(12), codec="mp4v", fps=10)
    clip.write_bytes(slowed_after(clip.read_bytes(), frames=6, times=5))
    video = VideoReader(clip)
    times = [frame.time_s for frame in video]
    assert times == pytest.approx([k / 10 for k in range(6)] + [0.6 + k / 2 for k in range(6)])
    assert video.ended_early is None
    assert [frame.index for frame in VideoReader(clip, fps=5)] == [0, 2, 4, *range(6, 12)]


def test_a_video_recorded_sideways_is_read_upright(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", frames(3), codec="mp4v", fps=10)
    clip.write_bytes(turned(clip.read_bytes()))
    with VideoReader(clip) as video:
        image = next(iter(video)).image
        assert image.shape == (video.height, video.width, 3) == (128, 96, 3)
    assert image[20, 20, 2] > 120  # what was on the left is on top
    assert image[110, 20, 1] > 120


@pytest.mark.parametrize(("name", "codec"), [("c.avi", "MJPG"), ("c.webm", "VP80")])
def test_a_video_cut_within_a_frame_gives_its_complete_frames_and_reports_the_cut(
    tmp_path: Path, name: str, codec: str
) -> None:
    clip = write_video(tmp_path / name, frames(12), codec=codec, fps=10)
    whole = VideoReader(clip)
    assert len(list(whole)) == 12
    assert whole.ended_early is None
    clip.write_bytes(clip.read_bytes()[: int(clip.stat().st_size * 0.9)])
    with VideoReader(clip) as video:
        seen = list(video)
        assert list(video) == []
    assert 2 <= len(seen) <= 10
    assert [bar_of(frame.image) for frame in seen] == list(range(len(seen)))
    assert str(video.ended_early).startswith("the video is cut short: it ends after frame")


def test_a_container_that_promises_more_bytes_is_reported_even_with_all_its_frames(
    tmp_path: Path,
) -> None:
    clip = write_video(tmp_path / "clip.avi", frames(12), codec="MJPG", fps=10)
    clip.write_bytes(clip.read_bytes()[:-50])  # of the index, which lies after the frames
    video = VideoReader(clip)
    assert len(list(video)) == 12
    assert "it ends after frame 12 of 12, at 1.10 s" in str(video.ended_early)


@pytest.mark.parametrize(
    ("keep", "reason"), [(0, "empty"), (40, "no frame that can be read"), (2000, "cut short")]
)
def test_a_video_without_a_frame_is_refused(tmp_path: Path, keep: int, reason: str) -> None:
    clip = write_video(tmp_path / "clip.mp4", frames(12), codec="mp4v", fps=10)
    clip.write_bytes(clip.read_bytes()[:keep])
    with pytest.raises(MediaError, match=reason):
        VideoReader(clip)


def test_text_named_mp4_and_frames_over_the_limit_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("#EXTM3U\nfile:///etc/hostname\n")
    with pytest.raises(MediaError, match="not a video"):
        VideoReader(tmp_path / "a.mp4")
    clip = write_video(tmp_path / "b.mp4", frames(2), codec="mp4v", fps=10)
    with pytest.raises(MediaError, match="128 x 96 pixels, more than"):
        VideoReader(clip, max_pixels=100)


def test_a_shared_clip_is_read_to_its_end() -> None:
    with VideoReader(shared_media("hamilton_clip.mp4"), fps=1) as video:
        seen = list(video)
    assert [round(frame.time_s) for frame in seen] == list(range(10))
    assert video.ended_early is None
