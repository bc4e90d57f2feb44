"""Images and forms to send to the server."""

from __future__ import annotations

import io

from PIL import Image

from tests.faces.sample_media import PHOTO
from tests.server.live_server import Answer, LiveServer

JPEG = {"Content-Type": "image/jpeg"}
BOUNDARY = "parts-of-a-test"
FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


def form(*images: bytes) -> bytes:
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="{k}.jpg"\r\n'.encode()
        + b"Content-Type: image/jpeg\r\n\r\n"
        + image
        + b"\r\n"
        for k, image in enumerate(images)
    ]
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def post(server: LiveServer, body: bytes, path: str = "/api/score", **headers: str) -> Answer:
    return server.ask("POST", path, body=body, headers=headers or JPEG)


def saved(
    kind: str, *, mode: str = "RGB", size: tuple[int, int] = (64, 48), **options: object
) -> bytes:
    file = io.BytesIO()
    with Image.open(PHOTO) as photo:
        photo.resize(size).convert(mode).save(file, kind, **options)
    return file.getvalue()


def photo_jpeg() -> bytes:
    return PHOTO.read_bytes()
