"""Cameras on the command line: their kinds, names and turns, and no secret shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from fer_jax.errors import FerError
from server.cameras.options import parse_source
from server.cameras.source_names import masked
from server.flags import from_arguments
from tests.server.test_flags import TOKEN, settings


def names(*argv: str) -> list[str]:
    return [source.name for source in settings(*argv).sources]


def test_without_a_webcam_there_are_the_demo_and_the_browsers_camera():
    assert names() == ["demo", "browser"]


def test_a_webcam_that_is_present_comes_first(tmp_path: Path):
    (tmp_path / "video0").touch()
    found = from_arguments([], environment={}, webcam=tmp_path / "video0").sources
    assert [(source.name, source.kind, source.where) for source in found] == [
        ("webcam", "device", "0"),
        ("demo", "demo", "demo"),
        ("browser", "browser", "browser"),
    ]


def test_a_requested_webcam_comes_with_the_demo_and_the_browser_camera():
    assert names("--source", "desk=/dev/video2") == ["desk", "demo", "browser"]


def test_other_sources_come_alone_and_in_order(tmp_path: Path):
    clip = tmp_path / "my video.mp4"
    clip.touch()
    argv = [
        "--source",
        "door=rtsp://camera/1",
        "--source",
        str(clip),
        "--source",
        "http://c.local/v",
    ]
    assert names(*argv) == ["door", "my-video", "c-local"]


@pytest.mark.parametrize(
    ("text", "kind", "where"),
    [
        ("0", "device", "0"),
        ("/dev/video3", "device", "3"),
        ("/dev/v4l/by-id/usb-C920-index0", "device", "/dev/v4l/by-id/usb-C920-index0"),
        ("demo", "demo", "demo"),
        ("x=browser", "browser", "browser"),
        ("door=rtsp://u:p@cam/1?a=b", "network", "rtsp://u:p@cam/1?a=b"),
        ("https://cam/video.mjpg?key=1", "network", "https://cam/video.mjpg?key=1"),
    ],
)
def test_a_sources_form_determines_its_kind(text: str, kind: str, where: str):
    source = parse_source(text)
    assert (source.kind, source.where) == (kind, where)


@pytest.mark.parametrize(
    ("where", "shown"),
    [
        ("rtsp://user:secret@cam:554/live", "rtsp://***@cam:554/***"),
        ("rtsp://user:se@cr@et@cam/live", "rtsp://***@cam/***"),
        ("rtsp://user:se/cr@et@cam/live", "rtsp://***"),
        ("rtsp://user:12/34@cam/live", "rtsp://***"),
        ("rtsp://user:se#cret@cam/live", "rtsp://***"),
        ("rtsp://user:se?cret@cam/live", "rtsp://***"),
        ("http://cam/video?password=secret", "http://cam/***"),
        ("http://cam/video?password=se@cret", "http://***"),
        ("http://cam/user=admin_password=secret_channel=1", "http://cam/***"),
        ("http://cam/video#secret", "http://cam/***"),
        ("rtsp://[fe80::1]:554/key", "rtsp://[fe80::1]:554/***"),
        ("http://cam/", "http://cam/"),
        ("rtsp://cam", "rtsp://cam"),
        ("films/video\n.mp4", "video\\n.mp4"),
        ("films/user=admin_password=secret.mp4", "***"),
    ],
)
def test_possible_secrets_in_an_address_are_masked(where: str, shown: str):
    assert masked(where) == shown


@pytest.mark.parametrize("sign", ["#", "?", "/"])
def test_a_password_that_must_be_encoded_is_refused_with_instructions(sign: str):
    with pytest.raises(FerError) as refusal:
        settings("--source", f"rtsp://user:se{sign}cret@cam/1")
    assert "--source rtsp://***: " in str(refusal.value)
    assert "%40 for @, %23 for #, %3F for ?, %2F for /" in str(refusal.value)
    assert "cret" not in str(refusal.value).replace("secret", "")


def test_a_camera_is_turned_and_flipped_by_its_name():
    line = ["--source", "desk=0", "--source", "demo", "--rotate", "desk=90", "--flip", "demo"]
    mounted = {
        one.name: (one.rotate, one.flip) for one in from_arguments(line, environment={}).sources
    }
    assert mounted["desk"] == (90, False)
    assert mounted["demo"] == (0, True)


@pytest.mark.parametrize(
    "line",
    [["--rotate", "demo=45"], ["--rotate", "90"], ["--rotate", "door=90"], ["--flip", "door"]],
)
def test_an_invalid_turn_or_an_unknown_camera_is_refused(line: list[str]):
    with pytest.raises(FerError, match=r"expected NAME=DEGREES|there are demo"):
        from_arguments(["--source", "demo", *line], environment={})


def test_a_camera_named_by_its_address_has_a_short_name_and_no_setting_shows_its_password():
    assert (
        names("--source", "/dev/v4l/by-id/usb-046d_C920_8FB2-video-index0")[0] == "046d_C920_8FB2"
    )
    found = settings("--source", "rtsp://user:secret@cam/1", "--token", TOKEN)
    assert "secret" not in repr(found)
    assert TOKEN not in repr(found)


def test_still_images_are_requested_at_the_configured_rate():
    assert settings().still_fps == 2.0
    assert settings("--still-fps", "0.5").still_fps == 0.5
    with pytest.raises(FerError, match=r"0\.1 to 30"):
        settings("--still-fps", "0")
