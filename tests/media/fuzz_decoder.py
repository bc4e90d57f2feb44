"""Searches for bytes that crash an image decoder: `python -m tests.media.fuzz_decoder [SECONDS [SEED]]`.

Valid images of every format are damaged at random, from a fixed seed, and given to a `Decoder`. Each
must be decoded or refused in time. A crash is contained, but the bytes should have been refused before,
so the image is kept in a file and the exit code is 1.
"""

from __future__ import annotations

import io
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from fer_jax.media.decoder import Decoder
from fer_jax.media.image_errors import BadImageError, DecoderFailedError
from tests.media import hostile_images as hostile

SEED = 20260101
_SIDE = 40
_DECODE_S = 10.0
_MOST_CHANGES = 12


def samples() -> Sequence[bytes]:
    """Small valid images of every format and of every kind that decoders treat differently."""
    noise = np.random.default_rng(0).integers(0, 256, (_SIDE, _SIDE, 3), dtype=np.uint8)
    rgb = Image.fromarray(noise)
    turned = Image.Exif()
    turned[274] = 6
    other = rgb.transpose(Image.Transpose.ROTATE_90)
    ways: list[tuple[Image.Image, str, dict[str, object]]] = [
        (rgb, "JPEG", {"exif": turned}),
        (rgb, "JPEG", {"progressive": True}),
        (rgb.convert("CMYK"), "JPEG", {}),
        (rgb, "PNG", {"exif": turned}),
        (rgb.quantize(16), "PNG", {"transparency": 3}),
        (rgb.convert("LA"), "PNG", {}),
        (rgb, "PNG", {"save_all": True, "append_images": [other]}),
        (rgb, "WEBP", {}),
        (rgb.convert("RGBA"), "WEBP", {"lossless": True, "exif": turned}),
        (rgb, "WEBP", {"save_all": True, "append_images": [other]}),
        (rgb.quantize(16), "GIF", {}),
        (rgb.quantize(16), "GIF", {"save_all": True, "append_images": [other.quantize(16)]}),
        (rgb, "BMP", {}),
        (rgb.quantize(16), "BMP", {}),
        (rgb, "TIFF", {"compression": "tiff_lzw"}),
        (rgb, "TIFF", {"compression": "tiff_deflate"}),
        (rgb, "TIFF", {"compression": "jpeg"}),
        (rgb, "TIFF", {"big_tiff": True}),
        (rgb, "AVIF", {"exif": turned}),
        (rgb, "JPEG2000", {}),
        *((rgb, kind, {}) for kind in ("PCX", "PPM", "QOI", "SGI", "TGA")),
    ]
    made = [hostile.tiff_with_two_widths(), hostile.vp8l_without_chunk()]
    for image, kind, options in ways:
        file = io.BytesIO()
        image.save(file, kind, **options)
        made.append(file.getvalue())
    return made


def damaged(data: bytes, other: bytes, generator: np.random.Generator) -> bytes:
    """Changes a few places: flipped bits, extreme numbers, parts cut, repeated or taken from `other`."""
    out = bytearray(data)
    for _ in range(generator.integers(1, _MOST_CHANGES)):
        at, length = int(generator.integers(len(out))), int(generator.integers(1, 64))
        match generator.integers(6):
            case 0:
                out[at] ^= 1 << int(generator.integers(8))
            case 1:
                out[at] = int(generator.choice([0, 1, 0x7F, 0x80, 0xFF]))
            case 2:
                out[at : at + 4] = generator.bytes(4)
            case 3 if len(out) > 80:
                del out[at : at + length]
            case 4:
                out[at:at] = out[at : at + length]
            case _:
                start = int(generator.integers(len(other)))
                out[at : at + length] = other[start : start + length]
    return hostile.with_right_checksums(bytes(out))


def fuzz(seconds: float, seed: int = SEED) -> list[str]:
    """Damages images for some time; returns a line for each crash of a decoder."""
    seeds, deaths, count, images, refusals = samples(), [], 0, 0, 0
    until = time.monotonic() + seconds
    with Decoder(max_pixels=1_000_000) as decoder:
        while time.monotonic() < until:
            generator = np.random.default_rng([seed, count])
            first, second = generator.integers(len(seeds), size=2)
            data = damaged(seeds[first], seeds[second], generator)
            try:
                with decoder.decoded(data, seconds=_DECODE_S):
                    images += 1
            except DecoderFailedError as error:
                path = Path(tempfile.gettempdir()) / f"decoder-{seed}-{count}"
                path.write_bytes(data)
                deaths.append(f"{path}: {error}")
            except BadImageError:
                refusals += 1
            count += 1
    print(f"{count} damaged images, {images} decoded, {refusals} refused, {len(deaths)} deaths")
    return deaths


def main(seconds: str = "60", seed: str = str(SEED)) -> int:
    """Prints what was found and returns the exit code."""
    deaths = fuzz(float(seconds), int(seed))
    print("\n".join(deaths), end="")
    return int(bool(deaths))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
