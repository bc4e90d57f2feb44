"""Decoders in separate processes: correct results, limits, and the cost of a crash."""

from __future__ import annotations

import io
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest
from PIL import Image

from fer_jax.media.child import DecoderUnavailableError
from fer_jax.media.decoder import Decoder
from fer_jax.media.decoder_wire import DecodeReply, Status, receive_reply, send_reply
from fer_jax.media.image_errors import BadImageError, DecoderFailedError, TooManyPixelsError
from fer_jax.media.image_header import read_header
from fer_jax.media.images import MediaError, decode_image
from tests.faces.sample_media import PHOTO, photo
from tests.media import hostile_images as hostile
from tests.shared_files import shared_file

SMALL = Image.fromarray(photo()).resize((128, 150))


def encoded(kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    SMALL.save(file, kind, **options)
    return file.getvalue()


JPEG, PNG = encoded("JPEG"), encoded("PNG")


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder(max_pixels=25_000_000) as one:
        yield one


def pixels(decoder: Decoder, data: bytes, *, grey: bool = False) -> np.ndarray:
    with decoder.decoded(data, grey=grey) as image:
        return image.copy()


@pytest.mark.parametrize("data", [JPEG, PNG, encoded("WEBP"), encoded("GIF"), encoded("BMP")])
@pytest.mark.parametrize("grey", [False, True])
def test_the_decoder_process_decodes_as_this_process_does(
    decoder: Decoder, data: bytes, grey: bool
) -> None:
    np.testing.assert_array_equal(
        pixels(decoder, data, grey=grey), decode_image(data, grey=grey), strict=True
    )


def test_images_of_any_size_follow_each_other(decoder: Decoder) -> None:
    large = io.BytesIO()
    Image.fromarray(photo()).resize((4000, 4000)).save(large, "JPEG")
    for data, shape in ((large.getvalue(), (4000, 4000, 3)), (JPEG, (150, 128, 3))):
        assert pixels(decoder, data).shape == shape
    np.testing.assert_array_equal(pixels(decoder, JPEG), decode_image(JPEG))


def test_a_file_is_read_by_name_and_named_when_refused(decoder: Decoder, tmp_path: Path) -> None:
    with decoder.opened(PHOTO) as image:
        np.testing.assert_array_equal(image, photo())
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(JPEG[:-300])
    with pytest.raises(MediaError, match=r"bad\.jpg: .*cut short"), decoder.opened(bad):
        raise AssertionError


@pytest.mark.parametrize(
    "name", ["hostile/apng_grey.png", "hostile/apng_broken.png", "hostile/vp8l_without_chunk.webp"]
)
def test_images_that_once_killed_the_server_do_not_even_kill_a_decoder(
    decoder: Decoder, name: str
) -> None:
    data = shared_file(f"cases/{name}").read_bytes()
    decoder.start()
    before = decoder.pid
    if name.endswith(".webp"):
        with pytest.raises(BadImageError, match="damaged"):
            pixels(decoder, data)
    else:
        assert pixels(decoder, data).shape[2] == 3
    assert decoder.pid == before


@pytest.mark.parametrize(
    "data",
    [
        hostile.vp8l_without_chunk(),
        hostile.tiff_with_two_widths(),
        hostile.tiff_with_two_offsets(),
    ],
    ids=["vp8l", "two-widths", "two-offsets"],
)
def test_images_that_two_parsers_read_differently_are_refused(
    decoder: Decoder, data: bytes
) -> None:
    with pytest.raises(BadImageError, match="damaged"):
        pixels(decoder, data)


@pytest.mark.parametrize("marker", [0x00, 0x01, 0xD0, 0xD7])
def test_a_jpeg_hidden_behind_a_marker_without_a_length_is_refused(
    decoder: Decoder, marker: int
) -> None:
    large, small = (np.full((side, side, 3), 60, np.uint8) for side in (1500, 8))
    hidden, shown = (cv2.imencode(".jpg", image)[1].tobytes() for image in (large, small))
    data = hostile.hidden_jpeg(marker, hidden, shown)
    with pytest.raises(BadImageError, match="damaged"):
        read_header(data)
    with pytest.raises(BadImageError, match="damaged"):
        pixels(decoder, data)


def test_only_the_still_image_of_an_animation_reaches_the_decoder(decoder: Decoder) -> None:
    for data in (
        hostile.animated_png(),
        hostile.with_frame_control_twice(hostile.animated_png()),
    ):
        assert (pixels(decoder, data) == 60).all()


def test_text_chunks_are_not_unpacked(decoder: Decoder) -> None:
    bomb = hostile.text_bomb()  # two gigabytes of text
    decoder.start()
    pixels(decoder, JPEG)
    assert decoder.pid is not None
    process = psutil.Process(decoder.pid)
    before = process.memory_info().rss
    used_s = process.cpu_times().user
    assert pixels(decoder, bomb).shape == (8, 8, 3)
    assert process.memory_info().rss - before < 20 << 20
    assert process.cpu_times().user - used_s < 1


def test_more_pixels_than_allowed_are_refused(decoder: Decoder) -> None:
    with pytest.raises(TooManyPixelsError, match="claims 40000 x 40000"):
        pixels(decoder, hostile.huge_png())


@pytest.mark.parametrize("kind", ["pfm", "pam", "hdr"])
def test_more_pixels_than_allowed_are_refused_where_only_opencv_knows_the_size(kind: str) -> None:
    image = np.full((200, 200, 3), 1, np.uint8 if kind == "pam" else np.float32)
    data = cv2.imencode(f".{kind}", image)[1].tobytes()
    for most, accepted in ((200 * 200, True), (200 * 200 - 1, False)):
        with Decoder(max_pixels=most) as decoder:
            if accepted:
                assert pixels(decoder, data).shape == (200, 200, 3)
                continue
            with pytest.raises(BadImageError):
                pixels(decoder, data)


def test_an_image_that_takes_too_long_costs_its_process_and_no_other_image() -> None:
    with Decoder() as decoder:
        pixels(decoder, JPEG)
        stopped = decoder.pid
        assert stopped is not None
        os.kill(stopped, signal.SIGSTOP)  # as if it never ended
        with (
            pytest.raises(DecoderFailedError, match=r"takes more than 0\.2 s"),
            decoder.decoded(JPEG, seconds=0.2),
        ):
            raise AssertionError
        assert not psutil.pid_exists(stopped)
        np.testing.assert_array_equal(pixels(decoder, JPEG), decode_image(JPEG))
        assert decoder.pid != stopped


def test_a_crash_is_reported_and_the_next_image_is_decoded() -> None:
    with Decoder() as decoder:
        pixels(decoder, JPEG)
        pid = decoder.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        crash = threading.Thread(target=lambda: _crash_when_asked(pid))
        crash.start()
        with pytest.raises(DecoderFailedError, match=r"crashed \(SIGSEGV\)"):
            pixels(decoder, JPEG)
        crash.join()
        np.testing.assert_array_equal(pixels(decoder, JPEG), decode_image(JPEG))


def _crash_when_asked(pid: int) -> None:
    os.kill(pid, signal.SIGSEGV)  # delivered when it continues
    os.kill(pid, signal.SIGCONT)


def test_a_decoder_killed_while_idle_is_replaced() -> None:
    with Decoder() as decoder:
        pixels(decoder, JPEG)
        assert decoder.pid is not None
        os.kill(decoder.pid, signal.SIGKILL)
        with pytest.raises(DecoderFailedError, match="SIGKILL"):
            pixels(decoder, JPEG)
        assert pixels(decoder, JPEG).shape == (150, 128, 3)


def test_waiting_for_a_starting_process_is_optional() -> None:
    ours, theirs = socket.socketpair()
    with Decoder(max_pixels=1_000_000) as decoder, theirs:
        assert decoder.wait_ready(60)
        assert decoder._child.wire is not None
        decoder._child.wire.close()
        decoder._child.wire, decoder._child.ready = ours, False  # like one that is still starting
        for _ in range(2):
            assert not decoder.wait_ready(0.01)
        send_reply(theirs, DecodeReply(Status.READY))
        assert decoder.wait_ready(0)


def test_an_image_outlives_its_decoder_unchanged() -> None:
    decoder = Decoder()
    with decoder.decoded(JPEG) as image:
        decoder.close()
        np.testing.assert_array_equal(image, decode_image(JPEG))
    decoder.close()
    assert decoder.pid is None


def test_a_failed_process_start_is_not_blamed_on_the_image(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with Decoder() as decoder, pytest.raises(DecoderUnavailableError, match="cannot be started"):
        pixels(decoder, JPEG)


def test_files_in_the_current_folder_are_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("cv2.py", "fer_jax.py", "mmap.py"):
        (tmp_path / name).write_text("raise SystemExit('the wrong file')")
    monkeypatch.chdir(tmp_path)
    with Decoder() as decoder:
        assert pixels(decoder, JPEG).shape == (150, 128, 3)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_process_has_no_secrets_no_network_and_no_more_memory_than_it_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FER_TOKEN", "open-sesame")
    with Decoder(max_pixels=1_000_000) as decoder:
        pixels(decoder, JPEG)
        folder = Path(f"/proc/{decoder.pid}")
        limits = (folder / "limits").read_text().splitlines()
        values = {line[:26].strip(): line[26:].split()[0] for line in limits}
        assert int(values["Max address space"]) < 4 << 30
        assert values["Max core file size"] == "0"
        assert int(values["Max cpu time"]) < 600
        try:
            environment = (folder / "environ").read_bytes()
            network = os.readlink(folder / "ns/net")
        except PermissionError:
            pytest.skip("only root may inspect a protected process")
        assert b"sesame" not in environment
        assert network != os.readlink("/proc/self/ns/net")


def test_the_process_ends_with_its_owner() -> None:
    code = (
        "import os, sys\n"
        "from fer_jax.media.decoder import Decoder\n"
        "decoder = Decoder()\n"
        "with decoder.decoded(sys.stdin.buffer.read()):\n"
        "    print(decoder.pid, flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    owner = psutil.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1)
    out, _ = owner.communicate(JPEG)
    pid = int(out)
    until = time.monotonic() + 20
    while psutil.pid_exists(pid) and time.monotonic() < until:
        os.sched_yield()
    assert not psutil.pid_exists(pid)


def test_a_reply_must_be_complete_in_time() -> None:
    ours, theirs = socket.socketpair()
    done = threading.Event()

    def trickle() -> None:
        for byte in bytes(23):
            theirs.send(bytes([byte]))
            if done.wait(0.1):
                return

    with ours, theirs:
        sender = threading.Thread(target=trickle)
        sender.start()
        with pytest.raises(TimeoutError):
            receive_reply(ours, seconds=0.3)
        done.set()
        sender.join()
