"""Faces as small images inside a web page."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable

import cv2
import numpy as np


def face_tags(shown: Iterable[tuple[np.ndarray, str]]) -> str:
    """Returns faces, uint8 or float [48, 48] grey, in a row that wraps; each with its name as title."""
    tags = "".join(
        f"<img alt='' title='{html.escape(name)}' src='{face_uri(image)}'>" for image, name in shown
    )
    return f"<div class='faces'>{tags}</div>"


def face_uri(image: np.ndarray) -> str:
    """Returns a face as a data URI of a PNG."""
    return png_uri(cv2.imencode(".png", np.rint(image).astype(np.uint8))[1].tobytes())


def png_uri(data: bytes) -> str:
    """Returns a PNG file's bytes as a data URI."""
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"
