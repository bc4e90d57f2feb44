"""Headers of VP8, VP9 and AV1. Packets of real encoders are in test_video_shares."""

from __future__ import annotations

import pytest

from fer_jax.media.video_shown import Shown, shown_by

KEY, HIDDEN, INTER = b"\x82\x49", b"\x84\x00\x40", b"\x86\x00"  # of VP9


def superframe(*frames: bytes) -> bytes:
    mark = bytes([0xC0 | len(frames) - 1])
    return b"".join(frames) + mark + bytes(map(len, frames)) + mark


@pytest.mark.parametrize(
    ("codec", "packet", "shown"),
    [
        ("vp8", b"\x90\x09", (1, True)),
        ("vp8", b"\x91\x08", (1, False)),
        ("vp8", b"\x01\x06", (0, False)),
        ("vp9", KEY, (1, True)),
        ("vp9", INTER, (1, False)),
        ("vp9", HIDDEN, (0, False)),
        ("vp9", b"\x88\x00", (1, False)),  # a previously hidden frame
        ("vp9", b"\xb1\x00", (1, True)),  # fourth profile
        ("vp9", superframe(HIDDEN, INTER), (1, False)),
        ("vp9", superframe(KEY, INTER), (2, True)),
        ("av1", b"\x12\x00\x0a\x01\x00\x32\x01\x10", (1, True)),  # delimiter, sequence, frame
        ("av1", b"\x32\x02\x28\x00\x32\x01\x30", (1, False)),  # one is hidden
        ("av1", b"\x1a\x01\xe8", (1, False)),  # a previously hidden frame
        ("av1", b"\x36\x00\x81\x00\x10" + bytes(128), (1, True)),  # an extension, a long size
        ("av1", b"\x30\x00", (0, False)),  # a hidden key frame; it ends with the packet
    ],
)
def test_headers_give_the_number_of_shown_frames_and_whether_decoding_may_begin(
    codec, packet, shown
):
    assert shown_by(codec, memoryview(packet)) == Shown(*shown)


@pytest.mark.parametrize(
    ("codec", "packet"),
    [
        ("vp9", b"\x42\x00"),
        ("vp9", superframe(KEY, b"")),
        ("vp9", b"\x82\xc1\xff\x01\xc1"),  # sizes beyond the packet
        ("av1", b"\x12\x00"),
        ("av1", b"\x32\x81"),
        ("av1", b"\x0a\x01\x18\x32\x01\x10"),  # a still picture
    ],
)
def test_unreadable_headers_give_nothing(codec, packet):
    assert shown_by(codec, memoryview(packet)) is None
