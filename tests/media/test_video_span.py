"""The shares of a video together equal the undivided video: frames, numbers, times, pixels."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from fer_jax.media.video import VideoReader
from fer_jax.media.video_decoder import VideoDecoder
from tests.faces.sample_media import frames, write_video
from tests.media.sample_videos import ffmpeg


def seen(path: Path, share: tuple[int, int] = (0, 1), **sampling) -> list[tuple[int, float, bytes]]:
    with VideoReader(path, share=share, **sampling) as video:
        return [(frame.index, frame.time_s, frame.image.tobytes()) for frame in video]


@contextlib.contextmanager
def scheduled_as_before() -> Iterator[None]:
    """SVT-AV1 puts a caller that is root into the real-time class, and leaves it and its children there.

    A browser that is started later then starves all other processes.
    """
    policy, priority = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, priority)


def encoded(path: Path, codec: str, **options: str) -> Path:
    """Sixty frames, in groups of seven to ten."""
    with scheduled_as_before(), av.open(path, "w") as container:
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
    "vp8.webm": ("libvpx", {"lag-in-frames": "16"}),
    "vp9.webm": ("libvpx-vp9", {"lag-in-frames": "16"}),
    "vp9.mp4": ("libvpx-vp9", {"lag-in-frames": "16"}),
    "av1.mp4": ("libsvtav1", {"preset": "12", "svtav1-params": "lp=1"}),
    "av1.mkv": ("libsvtav1", {"preset": "12", "svtav1-params": "lp=1"}),
}


@pytest.mark.parametrize("name", VIDEOS)
@pytest.mark.parametrize("sampling", [{}, {"every": 7}, {"fps": 4.0}])
def test_shares_add_up_to_the_video(tmp_path, name, sampling):
    codec, options = VIDEOS[name]
    path = encoded(tmp_path / name, codec, **options)
    shares = [seen(path, (n, 3), **sampling) for n in range(3)]
    assert [*itertools.chain(*shares)] == seen(path, **sampling)
    assert all(shares)
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


@pytest.mark.parametrize(("encoder", "ending"), [("libvpx", "webm"), ("libvpx-vp9", "mp4")])
def test_hidden_frames_do_not_count(tmp_path, encoder, ending):
    whole = encoded(tmp_path / "whole.mkv", "libx264", qp="0")
    path = tmp_path / f"hidden.{ending}"
    line = ("-i", whole, "-c:v", encoder, "-g", 15, "-auto-alt-ref", 1, "-lag-in-frames", 16)
    for turn in (1, 2):  # the second encoder looks far ahead
        ffmpeg(*line, "-threads", 1, "-pass", turn, "-passlogfile", tmp_path / "log", path)
    with av.open(path) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    hides = [
        packet[0] >> 4 & 1 == 0 if ending == "webm" else packet[0] == 0x84 for packet in packets
    ]
    assert any(hides)
    shares = [seen(path, (n, 3)) for n in range(3)]
    assert [*itertools.chain(*shares)] == seen(path)
    assert all(shares)
    assert sum(map(len, shares)) == 60


def test_a_packet_that_shows_two_frames_leaves_the_video_undivided(tmp_path):
    path = encoded(tmp_path / "one.webm", "libvpx-vp9")
    two = tmp_path / "two.webm"
    with av.open(path) as source, av.open(two, "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(video=0) if packet.size]
        first, second = bytes(packets[0]), bytes(packets[1])
        sizes = b"".join(len(each).to_bytes(2, "little") for each in (first, second))
        both = av.Packet(first + second + b"\xc9" + sizes + b"\xc9")
        both.pts, both.dts, both.is_keyframe = 0, 0, True
        both.time_base = packets[0].time_base
        for packet in (both, *packets[2:]):
            packet.stream = stream
            target.mux(packet)
    assert len(seen(two)) == 60
    assert seen(two, (0, 3)) == seen(two)
    assert seen(two, (1, 3)) == seen(two, (2, 3)) == []


def test_a_video_that_cannot_be_divided_is_complete_in_its_first_share(tmp_path):
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
def test_a_truncation_is_reported_by_the_last_share_with_frames(tmp_path, codec):
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
