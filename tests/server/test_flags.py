from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from fer_jax.errors import FerError
from fer_jax.faces.detect import DETECT_SIZE
from server.cameras.source_names import masked
from server.desktop import has_desktop
from server.flags import from_arguments, parse_source
from server.settings import is_loopback

NO_WEBCAM = Path("/nowhere/video0")
TOKEN = "a-long-enough-token"


def settings(*argv: str, **environment: str):
    return from_arguments(argv, environment=environment, webcam=NO_WEBCAM)


def names(*argv: str) -> list[str]:
    return [source.name for source in settings(*argv).sources]


def test_without_a_webcam_there_are_the_demo_and_the_browsers_camera():
    assert names() == ["demo", "browser"]


def test_a_webcam_that_is_there_comes_first(tmp_path: Path):
    (tmp_path / "video0").touch()
    found = from_arguments([], environment={}, webcam=tmp_path / "video0").sources
    assert [(source.name, source.kind, source.where) for source in found] == [
        ("webcam", "device", "0"),
        ("demo", "demo", "demo"),
        ("browser", "browser", "browser"),
    ]


def test_a_webcam_that_is_asked_for_brings_the_demo_and_the_browser_along():
    assert names("--source", "desk=/dev/video2") == ["desk", "demo", "browser"]


def test_other_sources_come_alone_and_in_their_order(tmp_path: Path):
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
def test_a_source_tells_its_kind_by_its_form(text: str, kind: str, where: str):
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
def test_what_may_be_secret_in_an_address_is_masked(where: str, shown: str):
    assert masked(where) == shown


@pytest.mark.parametrize("sign", ["#", "?", "/"])
def test_a_password_that_must_be_encoded_is_refused_with_how(sign: str):
    with pytest.raises(FerError) as refusal:
        settings("--source", f"rtsp://user:se{sign}cret@cam/1")
    assert "--source rtsp://***: " in str(refusal.value)
    assert "%40 for @, %23 for #, %3F for ?, %2F for /" in str(refusal.value)
    assert "cret" not in str(refusal.value).replace("secret", "")


def test_no_refusal_shows_a_cameras_password():
    for argv in (
        ["--source", "ftp://user:secret@cam/1"],
        ["--source", "a=rtsp://user:secret@cam/1", "--source", "a=rtsp://user:secret@cam/1"],
        ["rtsp://user:secret@cam/1"],
        ["--source", "user:secret@cam/1"],
        ["--source", "cam/user=admin_password=secret_channel=1"],
        ["rtsp://user:se cr@et secret@cam/1", "--port", "0"],
        ["user:sec#secret@cam/1"],
        ["cam/user=admin_password=secret"],
        ["--rotate", "rtsp://user:secret@cam/1=90"],
        ["--source", "demo", "--flip", "rtsp://user:secret@cam/1"],
        ["--host", "rtsp://user:secret@cam/1"],
        ["--allowed-host", "rtsp://user:secret@cam/1"],
        ["--port", "rtsp://user:secret@cam/1"],
        ["--trusted-proxy", "rtsp://user:secret@cam/1"],
        ["--path-prefix", "rtsp://user:secret@cam/1"],
        ["--detect-size", "rtsp://user:secret@cam/1"],
        ["@rtsp://user:secret@cam/1"],
    ):
        with pytest.raises(FerError) as refusal:
            settings(*argv)
        assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["--source", "nothing.mp4"], "no such file"),
        (["--source", "ftp://camera/1"], "rtsp"),
        (["--source", "a=demo", "--source", "a=browser"], "already"),
        (["--port", "65536"], "0 to 65535"),
        (["--port", "http"], "a whole number"),
        (["--jpeg-quality", "0"], "1 to 100"),
        (["--smoothing", "nan"], "a number"),
        (["--host", "a b"], "not a host"),
        (["--token", "short"], "8 printable"),
        (["--token", "not printable \n"], "8 printable"),
        (["--viewer-token", TOKEN], "give --token"),
        (["--token", TOKEN, "--viewer-token", TOKEN], "differs from"),
        (["--token", TOKEN, "--viewer-token", "short"], "viewers' token: expected 8"),
        (["--privacy", "some"], "no_picture"),
        (["--path-prefix", "fer"], "such as /fer"),
        (["--path-prefix", "//evil.example"], "such as /fer"),
        (["--path-prefix", "/../fer"], "such as /fer"),
        (["--trusted-proxy", "proxy.example"], "address or network"),
        (["--trusted-proxy", "0.0.0.0/0"], "address or network"),
        (["--sauce", "demo"], "--sauce"),
        (["@nothing.txt"], "one a line"),
    ],
)
def test_what_can_not_be_used_is_refused_in_one_line(argv: list[str], told: str):
    with pytest.raises(FerError) as refusal:
        settings(*argv)
    assert told in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "::", "studio.local"])
def test_an_address_open_to_others_needs_a_token(host: str):
    with pytest.raises(FerError, match=r"--host .*token"):
        settings("--host", host)
    assert settings("--host", host, "--token", TOKEN).token == TOKEN
    assert settings("--host", host, FER_TOKEN=TOKEN).token == TOKEN


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost", "[::1]"])
def test_loopback_needs_none(host: str):
    assert settings("--host", host).token == ""
    assert is_loopback(host.strip("[]"))


def test_a_token_on_the_line_goes_before_the_environments():
    assert settings("--token", TOKEN, FER_TOKEN="another-token").token == TOKEN


def test_viewers_have_a_token_of_their_own():
    found = settings(FER_TOKEN=TOKEN, FER_VIEWER_TOKEN="another-token")
    assert (found.token, found.viewer_token) == (TOKEN, "another-token")
    assert (
        settings("--token", TOKEN, "--viewer-token", "a-third-token").viewer_token
        == "a-third-token"
    )
    assert settings().viewer_token == ""


def test_a_token_can_be_made_at_every_start():
    first, second = settings("--token", "auto"), settings("--host", "0.0.0.0", FER_TOKEN="auto")
    assert first.announce_token
    assert len(first.token) >= 43
    assert first.token != second.token
    assert not settings("--token", TOKEN).announce_token


def test_cameras_begin_with_the_privacy_asked_for():
    assert settings().privacy == "none"
    assert settings("--privacy", "pixelate").privacy == "pixelate"


def test_a_prefix_is_kept_without_its_last_slash():
    assert settings("--path-prefix", "/a/fer/").path_prefix == "/a/fer"
    assert settings("--path-prefix", "/").path_prefix == ""


def test_proxies_are_trusted_only_when_asked_for():
    assert settings().trusted_proxies == ()
    found = settings(
        "--trusted-proxy", "127.0.0.1", "--trusted-proxy", "10.1.2.3/8"
    ).trusted_proxies
    assert [str(network) for network in found] == ["127.0.0.1/32", "10.0.0.0/8"]


def test_a_file_of_arguments_keeps_passwords_off_the_line(tmp_path: Path):
    file = tmp_path / "cameras.txt"
    file.write_text("# the door\n--source=door=rtsp://user:secret@cam/1\n\n--port=0\n")
    found = settings(f"@{file}")
    assert found.port == 0
    assert found.sources[0].where == "rtsp://user:secret@cam/1"


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (os.mkfifo, "not a regular file"),
        (os.mkdir, "Is a directory"),
        (lambda path: os.symlink("/dev/zero", path), "not a regular file"),
        (lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_WRONLY), 1 << 30), "larger than"),
        (lambda path: Path(path).write_text(f"@{path}\n"), "unrecognized arguments"),
    ],
)
def test_a_file_of_arguments_that_is_none_is_refused_at_once(
    tmp_path: Path, make: Callable[[Path], object], reason: str
):
    make(tmp_path / "cameras.txt")
    with pytest.raises(FerError, match=reason) as refusal:
        settings(f"@{tmp_path / 'cameras.txt'}")
    assert "\n" not in str(refusal.value)


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
def test_a_turn_that_is_none_or_of_no_camera_is_refused(line: list[str]):
    with pytest.raises(FerError, match=r"expected NAME=DEGREES|there are demo"):
        from_arguments(["--source", "demo", *line], environment={})


@pytest.mark.parametrize(
    ("environment", "platform", "terminal", "expected"),
    [
        ({"DISPLAY": ":0"}, "linux", True, True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True, True),
        ({}, "darwin", True, True),
        ({}, "linux", True, False),
        ({"DISPLAY": ":0"}, "linux", False, False),
        ({"DISPLAY": "localhost:10", "SSH_CONNECTION": "a b c d"}, "linux", True, False),
    ],
)
def test_a_browser_is_opened_for_a_person_at_a_desktop_only(
    environment, platform, terminal, expected
):
    found = has_desktop(environment=environment, platform=platform, terminal=terminal)
    assert found == expected


def test_a_camera_named_by_its_place_has_a_short_name_and_no_setting_shows_its_password():
    assert (
        names("--source", "/dev/v4l/by-id/usb-046d_C920_8FB2-video-index0")[0] == "046d_C920_8FB2"
    )
    found = settings("--source", "rtsp://user:secret@cam/1", "--token", TOKEN)
    assert "secret" not in repr(found)
    assert TOKEN not in repr(found)


def test_still_images_are_asked_for_as_often_as_said():
    assert settings().still_fps == 2.0
    assert settings("--still-fps", "0.5").still_fps == 0.5
    with pytest.raises(FerError, match=r"0\.1 to 30"):
        settings("--still-fps", "0")


def test_the_browser_stays_closed_when_asked():
    assert settings("--source", "demo").browser
    assert not settings("--source", "demo", "--no-browser").browser


def test_faces_are_looked_for_as_scoring_does():
    assert settings().detect_size == DETECT_SIZE
    assert settings("--detect-size", "full").detect_size == "full"
    with pytest.raises(FerError, match="32 or more"):
        settings("--detect-size", "9")
