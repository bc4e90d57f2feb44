from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from fer_jax.errors import FerError
from fer_jax.faces.detect import DETECT_SIZE
from server.desktop import has_desktop
from server.flags import from_arguments
from server.settings import is_loopback

NO_WEBCAM = Path("/nowhere/video0")
TOKEN = "a-long-enough-token"


def settings(*argv: str, **environment: str):
    return from_arguments(argv, environment=environment, webcam=NO_WEBCAM)


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
        (["@nothing.txt"], "one per line"),
    ],
)
def test_unusable_flags_are_refused_in_one_line(argv: list[str], told: str):
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
def test_loopback_needs_no_token(host: str):
    assert settings("--host", host).token == ""
    assert is_loopback(host.strip("[]"))


def test_a_token_on_the_command_line_overrides_the_environment():
    assert settings("--token", TOKEN, FER_TOKEN="another-token").token == TOKEN


def test_viewers_have_a_separate_token():
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


def test_cameras_start_with_the_requested_privacy():
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


def test_an_argument_file_keeps_passwords_off_the_command_line(tmp_path: Path):
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
def test_an_invalid_argument_file_is_refused_at_once(
    tmp_path: Path, make: Callable[[Path], object], reason: str
):
    make(tmp_path / "cameras.txt")
    with pytest.raises(FerError, match=reason) as refusal:
        settings(f"@{tmp_path / 'cameras.txt'}")
    assert "\n" not in str(refusal.value)


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


def test_the_browser_stays_closed_when_asked():
    assert settings("--source", "demo").browser
    assert not settings("--source", "demo", "--no-browser").browser


def test_the_detection_size_works_as_in_scoring():
    assert settings().detect_size == DETECT_SIZE
    assert settings("--detect-size", "full").detect_size == "full"
    with pytest.raises(FerError, match="32 or more"):
        settings("--detect-size", "9")
