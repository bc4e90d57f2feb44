"""The shares of a video hold together what the undivided video holds: frames, numbers, times, pixels."""

from __future__ import annotations

import itertools
from pathlib import Path

import av
import numpy as np
import pytest

from fer_jax.media.video import VideoReader
from fer_jax.media.video_decoder import VideoDecoder
from tests.faces.sample_media import frames, write_video


def seen(path: Path, share: tuple[int, int] = (0, 1), **sampling) -> list[tuple[int, float, bytes]]:
    with VideoReader(path, share=share, **sampling) as video:
        return [(frame.index, frame.time_s, frame.image.tobytes()) for frame in video]


def encoded(path: Path, codec: str, **options: str) -> Path:
    """Sixty frames, a group of pictures every seven to ten."""
    with av.open(path, "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 128, 96, "yuv420p", 8
        for n in range(60):
            image = np.roll(frames(3)[n % 3], 5 * n, axis=1)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


VIDEOS = {
    "h264.mp4": (
        "libx264",
        {"bf": "3", "x264-params": "open-gop=1:keyint=8:min-keyint=8:scenecut=0"},
    ),
    "h264.mkv": ("libx264", {"bf": "2"}),
    "mpeg2.ts": ("mpeg2video", {"bf": "2"}),
}


@pytest.mark.parametrize("name", VIDEOS)
@pytest.mark.parametrize("sampling", [{}, {"every": 7}, {"fps": 4.0}])
def test_shares_add_up_to_the_video(tmp_path, name, sampling):
    codec, options = VIDEOS[name]
    path = encoded(tmp_path / name, codec, **options)
    shares = [seen(path, (n, 3), **sampling) for n in range(3)]
    assert [*itertools.chain(*shares)] == seen(path, **sampling)
    assert all(shares)


def test_a_video_that_cannot_be_divided_is_whole_in_its_first_share(tmp_path):
    path = encoded(tmp_path / "packed.avi", "mpeg4", bf="2")
    assert seen(path, (0, 3)) == seen(path)
    assert seen(path, (1, 3)) == seen(path, (2, 3)) == []


def test_more_shares_than_groups_of_pictures_leave_some_empty(tmp_path):
    path = write_video(tmp_path / "a.avi", frames(4), codec="MJPG", fps=10)
    with VideoDecoder() as decoder:
        shares = [[frame.index for frame in decoder.opened(path, share=(n, 6))] for n in range(6)]
    assert sorted(itertools.chain(*shares)) == [0, 1, 2, 3]
    assert [] in shares


@pytest.mark.parametrize("codec", ["MJPG", "MP4V"])
def test_a_cut_is_told_by_the_last_share_that_holds_anything(tmp_path, codec):
    path = write_video(tmp_path / "a.avi", frames(30), codec=codec, fps=10)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 4 // 5])
    told = []
    for n in range(2):
        with VideoReader(path, share=(n, 2)) as video:
            count = sum(1 for _ in video)
            told.append(video.ended_early)
    with VideoReader(path) as whole:
        count = sum(1 for _ in whole)
    assert count
    last = -1 if codec == "MJPG" else 0  # MPEG-4 is not divided
    assert told[last] == whole.ended_early
    assert told.count(None) == 1
