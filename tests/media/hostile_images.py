"""Small images that demand much, or that two parsers read differently."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image

SIGNATURE = b"\x89PNG\r\n\x1a\n"
END = (b"IEND", b"")


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of (kind, contents) chunks with correct checksums."""
    return SIGNATURE + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def grey_header(width: int, height: int) -> tuple[bytes, bytes]:
    return b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)


def grey_rows(width: int, height: int) -> tuple[bytes, bytes]:
    rows = zlib.compressobj(9)
    data = b"".join(rows.compress(bytes(1 + width)) for _ in range(height)) + rows.flush()
    return b"IDAT", data


def huge_png() -> bytes:
    """A small file that claims 40,000 x 40,000 pixels."""
    return png(grey_header(40_000, 40_000), (b"IDAT", zlib.compress(b"\0" * 100)), END)


def text_bomb(megabytes: int = 2) -> bytes:
    """A tiny image after text chunks that unpack to a thousand times their size."""
    text = b"a\0\0" + zlib.compress(b"\0" * (megabytes << 20), 9)
    return png(grey_header(8, 8), *[(b"zTXt", text)] * 1000, grey_rows(8, 8), END)


def animated_png(frames: int = 3) -> bytes:
    """A complete animation, as Pillow writes it."""
    images = [Image.fromarray(np.full((20, 20), 60 * k, np.uint8)) for k in range(1, frames + 1)]
    file = io.BytesIO()
    images[0].save(file, "PNG", save_all=True, append_images=images[1:])
    return file.getvalue()


def with_frame_control_twice(data: bytes) -> bytes:
    """An animation that describes its first frame twice, the second time as far larger."""
    at = data.index(b"fcTL") - 4
    chunk = bytearray(data[at : at + 38])
    struct.pack_into(">II", chunk, 12, 60_000, 60_000)
    struct.pack_into(">I", chunk, 34, zlib.crc32(chunk[4:34]))
    return data[:at] + bytes(chunk) + data[at:]


def tiff_with_two_widths() -> bytes:
    """A TIFF that is 1 pixel wide by its first width and 30,000 by its second."""
    return _tiff([(256, 1), (256, 30_000), (257, 30_000), (258, 8), (259, 1), (262, 1), (273, 8)])


def tiff_with_two_offsets() -> bytes:
    """A TIFF of two pixels with two offsets for its strip."""
    return _tiff([(256, 2), (257, 1), (258, 8), (259, 1), (262, 1), (273, 8), (273, 10)])


def _tiff(entries: list[tuple[int, int]]) -> bytes:
    entries = [*entries, (278, 30_000), (279, 100)]
    packed = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + packed + bytes(104)


def vp8l_without_chunk() -> bytes:
    """A WebP with a lossless stream without its chunk header; its first bits claim 16383 x 16383."""
    stream = b"\x2f" + struct.pack("<I", 16382 | 16382 << 14) + bytes(64)
    return b"RIFF" + struct.pack("<I", 4 + len(stream)) + b"WEBP" + stream


def many_scans(data: bytes, scans: int) -> bytes:
    """A progressive JPEG with its last scan repeated that many times."""
    last = data.rindex(b"\xff\xda")
    return data[:last] + scans * data[last:-2] + data[-2:]


def hidden_jpeg(marker: int, hidden: bytes, shown: bytes) -> bytes:
    """A JPEG that a reader finds after a marker, unless it takes the marker for a segment's."""
    body = hidden[2:]
    return b"\xff\xd8\xff" + bytes([marker]) + struct.pack(">H", 2 + len(body)) + body + shown[2:]


def with_right_checksums(data: bytes) -> bytes:
    """A PNG with the checksums of its chunks corrected; other bytes unchanged."""
    if not data.startswith(SIGNATURE):
        return data
    out, at = bytearray(data), len(SIGNATURE)
    while at + 12 <= len(out):
        (length,) = struct.unpack_from(">I", out, at)
        if at + 12 + length > len(out):
            break
        struct.pack_into(">I", out, at + 8 + length, zlib.crc32(out[at + 4 : at + 8 + length]))
        at += 12 + length
    return bytes(out)
