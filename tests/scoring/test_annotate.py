"""Annotated copies of videos: playable in a browser, with sound and times, in the right place."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from fer_jax.media import video_writer
from fer_jax.media.inputs import common_parent
from fer_jax.media.video import VideoReader
from fer_jax.media.video_decoder import VideoDecoder
from fer_jax.scoring.annotate import Annotator, annotated_path
from fer_jax.scoring.views import views
from tests.chromium import opened_file
from tests.media.sample_videos import ffmpeg

# Odd sides; every fourth frame is missing, so frame times are uneven.
IMAGES = ("-f", "lavfi", "-i", "testsrc=d=2:r=8:s=101x75,select='mod(n,4)'")
SOUND = ("-f", "lavfi", "-i", "sine=440:d=2")
CODECS = {
    "clip.mkv": ("-c:v", "ffv1", "-c:a", "pcm_s16le", "-ac", "6"),
    "clip.mov": ("-c:v", "mjpeg", "-c:a", "aac"),
    "clip.ts": ("-c:v", "mpeg2video", "-c:a", "aac"),
    "clip.webm": ("-c:v", "libvpx", "-c:a", "libopus"),
}


def clip(folder: Path, name: str) -> Path:
    folder.mkdir(exist_ok=True)
    ffmpeg(*IMAGES, *SOUND, *CODECS[name], "-fps_mode", "vfr", folder / name)
    return folder / name


def annotated(paths: list[Path], folder: Path) -> list[str]:
    """Writes copies of videos without faces; returns the messages."""
    said: list[str] = []
    folder.mkdir()
    with (
        VideoDecoder(max_pixels=100_000) as videos,
        Annotator(
            folder,
            parent=common_parent([str(paths[0].parent)]),
            every=1,
            fps=None,
            max_pixels=100_000,
            uncertain_below=0.5,
            say=said.append,
        ) as annotator,
    ):
        for view in views(paths, videos.opened):
            annotator.add(view, [])
    return said


@pytest.mark.parametrize("codec", ["H.264", "VP8"])
def test_a_browser_plays_annotated_videos_with_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: str
) -> None:
    if codec == "VP8":  # as if FFmpeg had no H.264 encoder
        monkeypatch.setattr(video_writer, "_KINDS", video_writer._KINDS[1:])
    clips = [clip(tmp_path / "in", name) for name in CODECS]
    marked = tmp_path / "marked"
    assert annotated(clips, marked) == []
    ending = {"H.264": ".mp4", "VP8": ".webm"}[codec]
    copies = [
        marked / "in" / (path.name if path.suffix == ending else path.name + ending)
        for path in clips
    ]
    assert sorted(copies) == sorted((marked / "in").iterdir())
    assert [path.name for path in marked.iterdir()] == ["in"]
    for source, copy in zip(clips, copies, strict=True):
        with VideoReader(source) as before, VideoReader(copy) as after:
            times = [frame.time_s for frame in before]
            assert [frame.time_s for frame in after] == pytest.approx(times, abs=2e-3)
            assert (after.width, after.height) == (102, 76)
        with av.open(str(copy)) as file:
            (heard,) = file.streams.audio
            assert heard.codec_context.name == {"H.264": "aac", "VP8": "opus"}[codec]
            samples = sum(frame.samples for frame in file.decode(audio=0))
            assert samples / heard.rate == pytest.approx(2, abs=0.1)

    page = tmp_path / "page.html"
    videos = "".join(f'<video preload="auto" src="{path.as_uri()}"></video>' for path in copies)
    page.write_text(videos)
    every = "[...document.querySelectorAll('video')]"
    with opened_file(page) as (shown, complaints):
        shown.wait_for_function(f"{every}.every(video => video.readyState == 4)")
        decoded = shown.evaluate(
            f"""Promise.all({every}.map(async video => {{
                const ended = new Promise(ends => video.onended = ends);
                await video.play();
                await ended;
                return [video.webkitVideoDecodedByteCount, video.webkitAudioDecodedByteCount];
            }}))"""
        )
    assert len(decoded) == len(copies)
    assert all(video > 0 and audio > 0 for video, audio in decoded)
    assert complaints == []


def test_unreadable_sound_costs_only_the_sound(tmp_path: Path) -> None:
    path = clip(tmp_path / "in", "clip.mkv")
    path.write_bytes(path.read_bytes().replace(b"A_PCM/INT/LIT", b"A_XYZ/INT/LIT"))
    (said,) = annotated([path], tmp_path / "marked")
    assert "clip.mkv: its sound cannot be read" in said
    assert said.endswith("the copy is silent")
    with av.open(str(tmp_path / "marked" / "in" / "clip.mkv.mp4")) as file:
        assert [stream.type for stream in file.streams] == ["video"]


@pytest.mark.parametrize(
    ("inputs", "parent"),
    [
        (["photos"], "."),
        (["photos/", "clips/a.mp4"], "."),
        (["photos/2024/a.jpg", "photos/2025"], "photos"),
        (["photos/**/*.jpg"], "photos"),
        (["."], "."),
        ([".."], ".."),
        (["-"], "."),
        (["/photos/a.jpg"], "/photos"),
        (["/photos", "/clips/b.mp4"], "/"),
    ],
)
def test_copies_keep_their_paths_below_the_inputs_common_folder(
    inputs: list[str], parent: str
) -> None:
    assert common_parent(inputs) == Path(parent).resolve()


def test_inputs_named_only_by_a_list_keep_their_full_path() -> None:
    parent, seen = Path("/home/a"), Path("seen")
    assert annotated_path(seen, Path("/home/a/b/c.jpg"), parent=parent) == Path("seen/b/c.jpg")
    assert annotated_path(seen, Path("/srv/c.jpg"), parent=parent) == Path("seen/srv/c.jpg")
    assert annotated_path(seen, Path("../c.jpg"), parent=parent) == Path("seen/up/c.jpg")
