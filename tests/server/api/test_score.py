from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Sequence

import cv2
import numpy as np
import pytest

from fer_jax.expressions import EXPRESSIONS
from server.settings import Limits
from tests.faces.sample_media import PHOTO
from tests.server.live_server import (
    Answer,
    LiveServer,
    read_all,
    read_until,
    settings_of,
)
from tests.server.upload_samples import BOUNDARY, FORM, JPEG, form, photo_jpeg, post, saved


def test_the_face_of_a_photograph_is_found_and_scored(live: LiveServer):
    answer = post(live, photo_jpeg())
    assert answer.status == 200
    assert answer.json["labels"] == list(EXPRESSIONS)
    (image,) = answer.json["images"]
    assert (image["width"], image["height"]) == (512, 600)
    (face,) = image["faces"]
    assert set(face["probabilities"]) == set(EXPRESSIONS)
    assert sum(face["probabilities"].values()) == pytest.approx(1, abs=0.01)
    assert face["confidence"] == face["probabilities"][face["expression"]]
    x, y, width, height = face["box"]
    assert 0 < x < x + width < 512
    assert 0 < y < y + height < 600


def test_a_form_of_several_images_is_answered_in_their_order(live: LiveServer):
    nobody = cv2.imencode(".png", np.full((48, 64, 3), 90, np.uint8))[1].tobytes()
    images = post(live, form(photo_jpeg(), nobody, photo_jpeg()), **FORM).json["images"]
    assert [image["name"] for image in images] == ["0.jpg", "1.jpg", "2.jpg"]
    assert [len(image["faces"]) for image in images] == [1, 0, 1]
    assert images[0]["faces"] == images[2]["faces"]


def test_one_image_can_come_back_with_its_faces_marked(live: LiveServer):
    answer = post(live, photo_jpeg(), "/api/score?annotate=1")
    assert answer.headers["content-type"] == "image/jpeg"
    drawn = cv2.imdecode(np.frombuffer(answer.body, np.uint8), cv2.IMREAD_COLOR)
    plain = cv2.imread(str(PHOTO))
    assert drawn.shape == plain.shape
    assert (np.abs(drawn.astype(int) - plain) > 60).any()
    refused = post(live, form(photo_jpeg(), photo_jpeg()), "/api/score?annotate=1", **FORM)
    assert refused.code == "one_image_only"


def _charset(name: bytes) -> bytes:
    """A form whose first field names the charset of its other texts."""
    field = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="_charset_"\r\n\r\n'.encode()
    return field + name + b"\r\n" + form(saved("PNG"))


@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        ({"Content-Type": "text/plain"}, b"x", 415, "unsupported_media_type"),
        ({"Content-Type": "multipart/mixed; boundary=x"}, b"x", 415, "unsupported_media_type"),
        ({**JPEG, "Content-Encoding": "gzip"}, b"x", 415, "unsupported_media_type"),
        ({"Content-Type": "multipart/form-data"}, b"x", 400, "bad_form"),
        (FORM, b"", 400, "bad_form"),
        (FORM, b"no boundary in here", 400, "bad_form"),
        (FORM, form(saved("PNG"))[:-10], 400, "bad_form"),
        (FORM, f"--{BOUNDARY}\r\nno header\r\n\r\n".encode(), 400, "bad_form"),
        (FORM, b"\r\n" + form(saved("PNG")), 400, "bad_form"),
        (FORM, _charset(b"no-such-charset"), 400, "bad_form"),
        (FORM, _charset(b"x" * 40), 400, "bad_form"),
        (FORM, _charset(b"\xff\xfe"), 400, "bad_form"),
        (FORM, f"--{BOUNDARY}--\r\n".encode(), 400, "no_image"),
        (FORM, form(*[saved("GIF", size=(2, 2))] * 33), 413, "too_many_images"),
        (FORM, form(saved("PNG"), b"no image"), 422, "bad_image"),
    ],
    ids=[
        "text",
        "mixed",
        "gzip",
        "no-boundary",
        "empty",
        "other-boundary",
        "cut",
        "header",
        "preamble",
        "unknown-charset",
        "long-charset",
        "no-text-charset",
        "nothing",
        "many",
        "second-bad",
    ],
)
def test_a_body_that_is_neither_image_nor_form_is_refused(
    live: LiveServer, headers: dict[str, str], body: bytes, status: int, code: str
):
    refused = post(live, body, **headers)
    assert (refused.status, refused.code) == (status, code)


def test_a_body_in_endless_chunks_is_cut_off_at_the_limit(live: LiveServer):
    head = (
        b"POST /api/score HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    chunk = b"100000\r\n" + b"\xff" * 0x100000 + b"\r\n"
    with live.raw(head) as bare, pytest.raises(ConnectionError):
        send_for(30, bare, chunk)
    with live.raw(head + chunk * 8 + b"1\r\nx\r\n") as bare:
        answer = read_until(bare, b"\r\n")
    assert b" 413 " in answer


def send_for(seconds: float, bare: socket.socket, chunk: bytes) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        bare.sendall(chunk)


def test_broken_chunks_are_refused(live: LiveServer):
    head = (
        b"POST /api/score HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    for broken in (b"zz\r\n", b"-1\r\n\r\n", b"fffffffffffffffffffff\r\n"):
        with live.raw(head + broken) as bare:
            assert b" 400 " in read_until(bare, b"\r\n")


def test_a_preamble_of_many_lines_does_not_hold_up_the_event_loop(live: LiveServer):
    started_s = time.monotonic()
    refused = post(live, b"\n" * (4 << 20) + form(saved("PNG")), **FORM)
    assert (refused.status, refused.code) == (400, "bad_form")
    assert time.monotonic() - started_s < 2
    assert live.get("/healthz").status == 200


def test_a_form_that_sends_a_part_now_and_then_times_out(checkpoint: str):
    limits = Limits(image_upload_s=10.0, form_upload_s=1.0)
    with LiveServer(settings_of(checkpoint, "browser", limits=limits)) as server:
        server.wait_ready()
        part = form(saved("PNG", size=(8, 8))).removesuffix(f"--{BOUNDARY}--\r\n".encode())
        head = (
            f"POST /api/score HTTP/1.1\r\nHost: localhost\r\nContent-Type: {FORM['Content-Type']}\r\n"
            "Content-Length: 1000000\r\n\r\n"
        )
        with server.raw(head.encode()) as bare:
            started_s = time.monotonic()
            bare.settimeout(0.4)
            answer = b""
            while not answer:
                assert time.monotonic() - started_s < 20
                bare.sendall(part)
                with contextlib.suppress(TimeoutError):
                    answer = bare.recv(4096)
        assert b" 408 " in answer.split(b"\r\n")[0]


def test_a_body_that_trickles_in_times_out(checkpoint: str):
    limits = Limits(image_upload_s=1.0)
    with LiveServer(settings_of(checkpoint, "browser", limits=limits)) as server:
        head = (
            b"POST /api/score HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
            b"Content-Length: 1000000\r\n\r\n\xff\xd8"
        )
        with server.raw(head) as bare:
            started_s = time.monotonic()
            first, _, body = read_all(bare).partition(b"\r\n\r\n")
            assert time.monotonic() - started_s < 10
        assert b" 408 " in first.split(b"\r\n")[0]
        assert json.loads(body)["error"]["code"] == "too_slow"


def test_overload_is_refused_with_retry_after_and_the_rest_is_answered(checkpoint: str):
    limits = Limits(uploads=4, uploads_per_address=4, request_deadline_s=30.0)
    with LiveServer(settings_of(checkpoint, "browser", limits=limits)) as server:
        answers: list[Answer] = []
        body = form(*[photo_jpeg()] * 8)
        asked = [
            threading.Thread(target=lambda: answers.append(post(server, body, **FORM)))
            for _ in range(12)
        ]
        for thread in asked:
            thread.start()
        for thread in asked:
            thread.join()
        statuses = [answer.status for answer in answers]
        assert set(statuses) == {200, 429}
        assert statuses.count(200) >= 4
        refused = next(answer for answer in answers if answer.status == 429)
        assert refused.code == "overloaded"
        assert int(refused.headers["retry-after"]) >= 1
        assert post(server, photo_jpeg()).status == 200


def test_an_answer_past_its_deadline_becomes_504(checkpoint: str):
    limits = Limits(request_deadline_s=0.0)
    with LiveServer(settings_of(checkpoint, "browser", limits=limits)) as server:
        refused = post(server, photo_jpeg())
        assert (refused.status, refused.code) == (504, "deadline_passed")


def test_a_client_that_hangs_up_before_the_answer_harms_nobody(live: LiveServer):
    head = (
        f"POST /api/score HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
        f"Content-Length: {len(photo_jpeg())}\r\n\r\n"
    ).encode()
    for _ in range(10):
        with live.raw(head + photo_jpeg()):
            pass
    until = time.monotonic() + 30
    while (answer := post(live, photo_jpeg())).status == 429:
        assert time.monotonic() < until, "clients that left still count"
    assert answer.status == 200


def names(images: Sequence[dict[str, str]]) -> list[str]:
    return [image["name"] for image in images]


def test_a_name_with_line_breaks_is_returned_safely(live: LiveServer):
    body = form(saved("PNG")).replace(b'"0.jpg"', b'"a%0D%0Ab<i>.png"')
    assert "\n" not in names(post(live, body, **FORM).json["images"])[0]


def test_a_boundary_may_be_quoted_and_hold_a_comma_and_a_space(live: LiveServer):
    body = form(saved("PNG")).replace(BOUNDARY.encode(), b"a b, c")
    answer = post(live, body, **{"Content-Type": 'multipart/form-data; boundary="a b, c"'})
    assert (answer.status, len(answer.json["images"])) == (200, 1)
